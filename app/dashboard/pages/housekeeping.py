"""Keeps Batchord's housekeeping out of Flower's list of tasks: on an idle machine it would be nearly all of the list.

The tasks are hidden, not silenced: Flower's own metrics count them, one that fails stands in the list, and a search
that names them finds them.
"""

import importlib
import re
from typing import Any

from flower.utils.tasks import search_tasks

#: Tasks that beat sends every few seconds.
NAMES = ("batchord.sweep", "batchord.watch", "batchord.send_alerts")
#: A task that opens the runs that are due. It returns nothing if there are none.
_TICK = "batchord.start_run"
#: States that call for somebody.
_TROUBLE = frozenset({"FAILURE", "RETRY", "REJECTED"})
#: A search that finds a task wherever it is: the name of one, or the beginning of an id.
_NAMES_ONE = re.compile(rf"{'|'.join(map(re.escape, NAMES))}|\b[0-9a-f]{{8}}-", re.IGNORECASE)
#: The search for a name that shows them, in Flower's syntax.
SHOWN_BY = " OR name:".join(NAMES)


def hide_housekeeping() -> None:
    """Makes Flower's list of tasks leave them out. Call it once, before Flower starts.

    Flower offers no way to do so. Its list looks this name up for each request.
    """
    views: Any = importlib.import_module("flower.views.tasks")
    views.search_tasks = search_without


def search_without(events: Any, *, search: str | None = None, **how: Any) -> Any:
    """Flower's search, without housekeeping that succeeds, unless the search names it."""
    if search and _NAMES_ONE.search(search):
        return search_tasks(events, search=search, **how)
    return search_tasks(_Others(events), search=search, **how)


def is_housekeeping(task: Any) -> bool:
    """Whether nobody needs to see this task of Flower's."""
    if task.state in _TROUBLE:
        return False
    return task.name in NAMES or (task.name == _TICK and task.state == "SUCCESS" and task.result == "None")


class _Others:
    """Flower's events with the other tasks alone: what its search asks them for."""

    def __init__(self, events: Any) -> None:
        self.state = self
        self.search_engine = events.state.search_engine
        tasks = events.state.tasks
        self.tasks = {
            number: task for number, task in getattr(tasks, "data", tasks).items() if not is_housekeeping(task)
        }

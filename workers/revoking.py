"""Who terminates a task: Celery's command says it, and its signal does not."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from celery.worker.control import Panel

from batchord.core.run.history import Actor

#: More than are terminated while one signal is under way.
_MOST = 1000
_askers: OrderedDict[str, Any] = OrderedDict()


def asker_of(task_id: str) -> Actor:
    """Who had this task terminated, as far as the command said."""
    return Actor.from_message(_askers.get(task_id))


def listen() -> None:
    """Makes this worker's command ``revoke`` note who asks, before it does what it does."""
    known: Callable[..., Any] = Panel.data["revoke"]
    if getattr(known, "notes_asker", False):
        return

    def revoke(state: Any, task_id: Any, *args: Any, by: Any = None, **kwargs: Any) -> Any:
        for each in task_id if isinstance(task_id, list | tuple) else [task_id]:
            if isinstance(each, str):
                _askers[each] = by
        while len(_askers) > _MOST:
            _askers.popitem(last=False)
        return known(state, task_id, *args, **kwargs)

    revoke.notes_asker = True  # type: ignore[attr-defined]
    Panel.data["revoke"] = revoke

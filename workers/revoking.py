"""Remembers who terminates a task: Celery's command says it, but its signal does not."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from celery.worker.control import Panel

from batchord.core.run.history import Actor

#: The most remembered tasks: more than are terminated before the signal of one arrives.
_MOST = 1000
_askers: OrderedDict[str, Any] = OrderedDict()


def asker_of(task_id: str) -> Actor:
    """The person who had this task terminated, if the command named one."""
    return Actor.from_message(_askers.get(task_id))


def listen() -> None:
    """Makes this worker's command ``revoke`` remember the person who asks for it, before it revokes."""
    celerys_revoke: Callable[..., Any] = Panel.data["revoke"]
    if getattr(celerys_revoke, "notes_asker", False):
        return

    def revoke(state: Any, task_id: Any, *args: Any, by: Any = None, **kwargs: Any) -> Any:
        for one_id in task_id if isinstance(task_id, list | tuple) else [task_id]:
            if isinstance(one_id, str):
                _askers[one_id] = by
        while len(_askers) > _MOST:
            _askers.popitem(last=False)
        return celerys_revoke(state, task_id, *args, **kwargs)

    revoke.notes_asker = True  # type: ignore[attr-defined]
    Panel.data["revoke"] = revoke

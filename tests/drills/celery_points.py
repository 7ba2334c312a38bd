"""Fault points inside Celery and Kombu, where no code of ours runs; workers of the drills import this.

==================================  ==========================================================================
``message-taken:TASK``              a message has left Redis's queue and is not yet noted as unacknowledged
``before-publish:TASK``             a message of this task is about to be sent, from whichever process
``after-publish:TASK``              it was sent
``before-chord-size``               all parts of a chord but the last are sent, and Redis does not know how many
``after-chord-size``                Redis knows how many; the last part is not sent
``before-chord-part``               a part's SUCCESS is stored, and the part is not counted
``after-chord-part``                the part is counted; if it was the last, the body is sent and all is cleaned up
==================================  ==========================================================================

The chord's last part claims the chord, publishes the body, then cleans up: in a worker's child,
``before-publish:batchord.finish_step`` lies after the claim, ``after-publish:batchord.finish_step`` before the
clean-up.
"""

from collections.abc import Callable
from typing import Any

from celery import signals
from celery.backends.redis import RedisBackend
from kombu.transport.redis import QoS

from batchord.core.process.fault_points import fault


def _around(
    owner: type, name: str, *, before: str | Callable[..., str] | None = None, after: str | None = None
) -> None:
    """``before`` is the point's name, or a function that makes the name from the arguments."""
    wrapped: Callable[..., Any] = getattr(owner, name)

    def passed(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            fault(before if isinstance(before, str) else before(*args, **kwargs))
        returned = wrapped(*args, **kwargs)
        if after is not None:
            fault(after)
        return returned

    setattr(owner, name, passed)


def _taken(_: QoS, message: Any, *__: Any) -> str:
    return f"message-taken:{message.headers.get('task')}"


_around(QoS, "append", before=_taken)
_around(RedisBackend, "set_chord_size", before="before-chord-size", after="after-chord-size")
_around(RedisBackend, "on_chord_part_return", before="before-chord-part", after="after-chord-part")


@signals.before_task_publish.connect
def _before_publish(sender: str = "", **_: Any) -> None:
    fault(f"before-publish:{sender}")


@signals.after_task_publish.connect
def _after_publish(sender: str = "", **_: Any) -> None:
    fault(f"after-publish:{sender}")

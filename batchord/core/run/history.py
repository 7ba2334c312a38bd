"""What people changed by hand, and who did it. The ledger keeps this in the transaction of the change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

#: The most characters of a user's or a host's name.
MOST_NAME = 200


class Way(StrEnum):
    """The way by which somebody reached Batchord."""

    #: The command line.
    COMMAND = "command"
    FLOWER = "flower"
    #: A task's message from a program, or from ``celery call``.
    MESSAGE = "message"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who changes something by hand. The sending process says this, so it proves nothing."""

    #: The operating system's user of a command; the name in Flower's login.
    user: str | None
    #: The machine of a command; the browser's address for Flower.
    host: str | None
    way: Way

    def to_json(self) -> dict[str, Any]:
        """The actor as JSON values for a message."""
        return {"user": self.user, "host": self.host, "way": self.way.value}

    @classmethod
    def from_message(cls, value: Any, *, origin: Any = None) -> Self:
        """The sender of a message, whatever JSON value the message holds for it.

        ``origin``: Celery's name of the sending process, such as ``gen1@host``.
        """
        actor = value if isinstance(value, Mapping) else {}
        way = actor.get("way")
        host = origin.rpartition("@")[2] if isinstance(origin, str) else None
        return cls(
            user=_name(actor.get("user")),
            host=_name(actor.get("host")) or _name(host),
            way=Way(way) if isinstance(way, str) and way in set(Way) else Way.MESSAGE,
        )


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that somebody changed."""

    #: The command's name: ``cancel``, ``pause``, …
    action: str
    actor: Actor
    pipeline: str | None = None
    run_id: str | None = None
    #: Further JSON-like values about the change: masked and short.
    detail: Mapping[str, Any] = field(default_factory=dict)


def _name(value: Any) -> str | None:
    return value[:MOST_NAME] if isinstance(value, str) and value else None

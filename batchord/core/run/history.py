"""What was changed by hand, and by whom: kept with the change itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

#: Characters of a name, of a user or a host.
MOST_NAME = 200


class Way(StrEnum):
    """How somebody came to Batchord."""

    #: The command line.
    COMMAND = "command"
    FLOWER = "flower"
    #: A task's message from a program, or from ``celery call``.
    MESSAGE = "message"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who changes something by hand; as its process says, which proves nothing."""

    #: Of a command, the operating system's user; through Flower, the name that the password goes with.
    user: str | None
    #: Of a command, its machine; through Flower, the address that the browser came from.
    host: str | None
    way: Way

    def to_json(self) -> dict[str, Any]:
        """What a message carries."""
        return {"user": self.user, "host": self.host, "way": self.way.value}

    @classmethod
    def from_message(cls, said: Any, *, origin: Any = None) -> Self:
        """What a message says of its sender, whatever else it says. ``origin``: as Celery writes it, ``gen1@host``."""
        given = said if isinstance(said, Mapping) else {}
        way = given.get("way")
        host = origin.rpartition("@")[2] if isinstance(origin, str) else None
        return cls(
            user=_name(given.get("user")),
            host=_name(given.get("host")) or _name(host),
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
    #: More about it, JSON-like: masked, and not long.
    detail: Mapping[str, Any] = field(default_factory=dict)


def _name(value: Any) -> str | None:
    return value[:MOST_NAME] if isinstance(value, str) and value else None

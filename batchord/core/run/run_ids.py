"""A run's id says when the run was opened. People write its beginning."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, Protocol
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The fewest characters of a printed prefix.
SHORTEST = 8
#: The hexadecimal digits of a whole id.
_DIGITS = 32


def first_run_id(moment: datetime) -> str:
    """The least id of a run that was opened at ``moment``. All runs with lesser ids were opened earlier.

    The first 48 bits are milliseconds since 1970 (RFC 9562, UUID version 7). Raises ValueError if ``moment`` has no
    time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    return str(UUID(int=max(0, milliseconds) << 80))


def ids_beginning_with(prefix: str) -> tuple[str, str] | None:
    """The least and the greatest id that begin with ``prefix``, with or without hyphens; None if no id can."""
    digits = prefix.strip().lower().replace("-", "")
    if not digits or len(digits) > _DIGITS or not set(digits) <= set("0123456789abcdef"):
        return None
    return str(UUID(digits.ljust(_DIGITS, "0"))), str(UUID(digits.ljust(_DIGITS, "f")))


def is_whole_id(text: str) -> bool:
    """Whether ``text`` is a whole id, with or without hyphens."""
    ids = ids_beginning_with(text)
    return ids is not None and ids[0] == ids[1]


def unique_prefix(run_id: str, neighbours: Iterable[str]) -> str:
    """The shortest beginning of ``run_id`` that no neighbour has, of at least 8 characters.

    ``neighbours``: the next lesser and the next greater id are enough, because ids are ordered as texts.
    """
    shared = max((_shared(run_id, other) for other in neighbours), default=0)
    return run_id[: max(SHORTEST, shared + 1)]


class Neighbourhood(Protocol):
    """Knows all ids of runs."""

    def neighbours(self, run_ids: Sequence[str]) -> tuple[list[dict[str, Any]], datetime]:
        """For each ``id`` of these, the next ``lesser`` and ``greater`` id, if there are any; and the time."""
        ...


def short_ids(runs: Neighbourhood, run_ids: Iterable[str | None]) -> Mapping[str, str]:
    """For each id, its shortest beginning that no other run has, or will have. Every command accepts it.

    Ids rise with time. So no later run begins like a run of some minutes ago, and a run that was just opened gets more
    characters.
    """
    wanted = list({run_id for run_id in run_ids if run_id is not None})
    if not wanted:
        return {}
    rows, now = runs.neighbours(wanted)
    coming = first_run_id(now + timedelta(milliseconds=1))
    return {
        row["id"]: unique_prefix(row["id"], [other for other in (row["lesser"], row["greater"], coming) if other])
        for row in rows
    }


def _shared(one: str, other: str) -> int:
    """With how many equal characters the texts begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=True)))

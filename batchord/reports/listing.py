"""A page of a long list, and where the next page begins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

_Row = TypeVar("_Row")
_Entry = TypeVar("_Entry")


@dataclass(frozen=True, kw_only=True)
class Listing(Generic[_Entry]):
    """A page of a list, the newest entry first."""

    entries: Sequence[_Entry]
    #: The mark after which the next page begins; None if this page is the last.
    older: str | None = None


def listed(
    rows: Sequence[_Row], *, size: int, entry: Callable[[_Row], _Entry], mark: Callable[[_Row], str]
) -> Listing[_Entry]:
    """The page of at most ``size`` entries. ``rows``: one more, if there is one more."""
    shown = rows[:size]
    return Listing(entries=[entry(row) for row in shown], older=mark(shown[-1]) if len(rows) > size else None)


def number_of(mark: str | None) -> int | None:
    """The number that a mark of a list ordered by numbers stands for; None for a mark that is none."""
    # PostgreSQL's bigint has at most 19 digits.
    return int(mark) if mark is not None and mark.isascii() and mark.isdecimal() and len(mark) <= 18 else None  # noqa: PLR2004

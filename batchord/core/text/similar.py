"""Suggestions for a name that does not exist: somebody may have mistyped it."""

from collections.abc import Iterable

#: How alike two names must be, from 0 to 1. ``shedule`` and ``schedule`` are 0.93 alike, ``attempts`` and ``times``
#: 0.46.
_ALIKE = 0.7
#: The most names that are listed.
_MOST = 30


def closest(name: object, names: Iterable[str]) -> str | None:
    """The one of ``names`` that ``name`` was most likely meant to be; None if no name is similar."""
    import difflib  # only here: an error is rare

    lower = {each.lower(): each for each in names}
    found = difflib.get_close_matches(str(name).lower(), lower, n=1, cutoff=_ALIKE)
    return lower[found[0]] if found else None


def meant(name: object, names: Iterable[str], *, listed: str) -> str:
    """The end of a sentence about an unknown name: ``did you mean 'schedule'?``, or the names that there are.

    ``listed``: the words before the list, such as ``the other steps are``.
    """
    names = list(names)
    similar = closest(name, names)
    if similar is not None:
        return f"did you mean {similar!r}?"
    more = len(names) - _MOST
    return f"{listed}: {', '.join(names[:_MOST]) or 'none'}" + (f" and {more:,} more" if more > 0 else "")

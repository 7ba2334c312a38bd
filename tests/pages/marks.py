"""Marks: comments of a page that only its reader in the tests sees, such as ``<!-- reader skips: needs Docker -->``."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Verb(StrEnum):
    """What a mark asks of the reader.

    ``runs``, ``replaces`` and ``sees`` act where they stand, the others on the next block.
    """

    #: Does not execute the block; the text is the reason.
    SKIPS = "skips"
    #: Runs commands that the page does not show: what it presumes, or what happens meanwhile.
    RUNS = "runs"
    #: From here on, types the output of a command in place of a word: ``RUN by newest-run reviews``.
    REPLACES = "replaces"
    #: Saves the block as this file, where the page's text does not say so.
    SAVES = "saves"
    #: Types the block into this command, as its standard input.
    TYPES = "types"
    #: The block's last command ends with an error that the page wants; the text is the reason.
    FAILS = "fails"
    #: Expects these lines in what was printed before, as if the page showed them.
    SEES = "sees"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One mark."""

    verb: Verb
    text: str
    #: ``page:line``, for people.
    place: str


_MARK = re.compile(r"<!--\s*reader\s+(?P<verb>\S+?):\s+(?P<text>\S.*?)\s*-->", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def marks(html: str, place: str) -> list[Mark]:
    """The marks in a piece of HTML. Raises ValueError for a comment that is none: a mistyped mark must not be lost."""
    found = []
    for comment in _COMMENT.findall(html):
        mark = _MARK.fullmatch(comment)
        if mark is None or mark["verb"] not in set(Verb):
            verbs = ", ".join(Verb)
            raise ValueError(f"{place}: {comment} is no mark; write <!-- reader VERB: TEXT -->, VERB one of {verbs}")
        found.append(Mark(verb=Verb(mark["verb"]), text=mark["text"], place=place))
    return found

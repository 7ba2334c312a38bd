"""A page as its reader meets it: blocks of code and marks, in their order."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.pages.marks import Mark, Verb, marks

ROOT = Path(__file__).resolve().parents[2]
#: How a text names the file that the block below it is.
_SAVED = re.compile(r"\b[Ss]ave (?:this|it)\s+as\s+`([^`\s]+)`|^`([^`\s]+)`:$")
#: Marks that act where they stand.
_ALONE = (Verb.RUNS, Verb.REPLACES, Verb.SEES)


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block of code."""

    #: ``page:line`` of its first line, for people.
    place: str
    #: The language of its fence. An indented block is ``bash``.
    language: str
    code: str
    #: The file as which the reader saves it; None: it is no file.
    file: str | None
    #: The marks before it.
    marks: tuple[Mark, ...] = ()

    def mark(self, verb: Verb) -> Mark | None:
        """Its mark with this verb."""
        return next((mark for mark in self.marks if mark.verb is verb), None)


def blocks_and_marks(page: str, text: str | None = None) -> Iterator[Block | Mark]:
    """What the reader of ``page`` does, in its order; ``text`` in place of the page's own, for tests.

    Raises ValueError for a comment that is no mark, for a mark without a block, and for a fence without a language.
    """
    waiting: list[Mark] = []
    paragraph = ""
    for token in MarkdownIt().parse((ROOT / page).read_text("utf-8") if text is None else text):
        place = f"{page}:{token.map[0] + 1}" if token.map else page
        match token.type:
            case "html_block":
                for mark in marks(token.content, place):
                    if mark.verb in _ALONE:
                        yield mark
                    else:
                        waiting.append(mark)
            case "fence" | "code_block":
                yield _block(token, place, paragraph, tuple(waiting))
                waiting, paragraph = [], ""
            case "inline":
                _refuse(waiting)
                paragraph = token.content
            case "heading_open":
                paragraph = ""
    _refuse(waiting)


def blocks(page: str) -> list[Block]:
    """The blocks of ``page``."""
    return [entry for entry in blocks_and_marks(page) if isinstance(entry, Block)]


def _block(token: Token, place: str, paragraph: str, before: tuple[Mark, ...]) -> Block:
    language = token.info.strip() if token.type == "fence" else "bash"
    if not language:
        raise ValueError(f"{place}: this fence names no language")
    saved = next((mark.text for mark in before if mark.verb is Verb.SAVES), None)
    if saved is None and (named := _SAVED.search(paragraph)):
        saved = named[1] or named[2]
    return Block(place=place, language=language, code=token.content, file=saved, marks=before)


def _refuse(waiting: list[Mark]) -> None:
    if waiting:
        raise ValueError(f"{waiting[0].place}: no block follows this mark")

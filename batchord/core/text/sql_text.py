"""SQL as authors write it: what of a text is code, and what is quoted or a comment.

Semicolons and colons mean something in code alone. Databases differ in how a quoted text or a comment ends.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple


class PartKind(Enum):
    """What a part of a text is."""

    CODE = auto()
    #: A text or a name in quotes.
    QUOTED = auto()
    COMMENT = auto()


class Part(NamedTuple):
    """A part of a text as it stands there, its quotes included."""

    kind: PartKind
    text: str


@dataclass(frozen=True, kw_only=True)
class Lexis:
    """How a database quotes."""

    #: Whether a comment may hold another one.
    nested_comments: bool = False
    #: Whether a backslash escapes a quote in every text, and not only in those that begin with E.
    backslashes: bool = False
    #: Whether ``#`` begins a comment, and ``--`` only with a space behind it: MySQL takes ``1--1`` for a difference.
    hash_comments: bool = False
    #: What begins a quoted name, beside ``"``, and what ends it.
    names: tuple[tuple[str, str], ...] = ()
    #: Whether ``$tag$ … $tag$`` is a text.
    dollars: bool = False


POSTGRESQL = Lexis(nested_comments=True, dollars=True)
_MYSQL = Lexis(backslashes=True, hash_comments=True, names=(("`", "`"),))
_SQLITE = Lexis(names=(("`", "`"), ("[", "]")))
_MSSQL = Lexis(nested_comments=True, names=(("[", "]"),))
_OTHERS = {"mysql": _MYSQL, "mariadb": _MYSQL, "sqlite": _SQLITE, "mssql": _MSSQL, "oracle": Lexis()}

#: What begins something other than code.
_OPENING = re.compile(
    r"--|/\*|#|`|\[|\"|(?<![\w$])(?P<escaping>[eE])'|'|(?<![\w$])(?P<dollar>\$(?:[^\W\d]\w*)?\$)",
)
_STAR = re.compile(r"/\*|\*/")
_BYTE_ORDER_MARK = "\ufeff"


def lexis_of(dialect: str | None) -> Lexis:
    """How the database of SQLAlchemy's ``dialect`` quotes; as PostgreSQL when nothing else is known of it."""
    return _OTHERS.get(dialect or "", POSTGRESQL)


def parts_of(sql: str, lexis: Lexis) -> Iterator[Part]:
    """The parts of a text, which together are the text, but for a byte order mark in front; none is empty.

    A quoted text or a comment that has no end goes on to the end of all.
    """
    sql = sql.removeprefix(_BYTE_ORDER_MARK)
    start = searched = 0
    while found := _OPENING.search(sql, searched):
        end = _end(sql, found, lexis)
        searched = end or found.end()
        if end is None:
            continue
        if start < found.start():
            yield Part(PartKind.CODE, sql[start : found.start()])
        comment = found[0] in ("--", "/*", "#")
        yield Part(PartKind.COMMENT if comment else PartKind.QUOTED, sql[found.start() : end])
        start = end
    if start < len(sql):
        yield Part(PartKind.CODE, sql[start:])


def code_of(sql: str, lexis: Lexis) -> str:
    """The text with a space for each comment, and ``''`` for whatever is quoted."""
    stands_for = {PartKind.COMMENT: " ", PartKind.QUOTED: "''"}
    return "".join(stands_for.get(part.kind, part.text) for part in parts_of(sql, lexis))


def _end(sql: str, opening: re.Match[str], lexis: Lexis) -> int | None:
    """Where that which begins at ``opening`` ends; None when nothing but code begins there."""
    mark, start = opening[0], opening.end()
    if mark in ("--", "#"):
        begins = lexis.hash_comments if mark == "#" else not lexis.hash_comments or sql[start : start + 1].strip() == ""
        return _after(sql, "\n", start) if begins else None
    if mark == "/*":
        return _end_of_comment(sql, start) if lexis.nested_comments else _after(sql, "*/", start)
    if opening["dollar"]:
        return _after(sql, mark, start) if lexis.dollars else None
    if opening["escaping"]:
        return _end_of_text(sql, "'", start, backslashes=True)
    if mark in "'\"":
        return _end_of_text(sql, mark, start, backslashes=lexis.backslashes)
    closing = dict(lexis.names).get(mark)
    return None if closing is None else _end_of_text(sql, closing, start, backslashes=False)


def _after(sql: str, mark: str, start: int) -> int:
    place = sql.find(mark, start)
    return len(sql) if place < 0 else place + len(mark)


def _end_of_comment(sql: str, start: int) -> int:
    depth = 1
    for found in _STAR.finditer(sql, start):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    return len(sql)


def _end_of_text(sql: str, quote: str, start: int, *, backslashes: bool) -> int:
    place = start
    while place < len(sql):
        if backslashes and sql[place] == "\\":
            place += 2
        elif sql[place] != quote:
            place += 1
        elif sql[place + 1 : place + 2] == quote:  # twice: one that belongs to the text
            place += 2
        else:
            return place + 1
    return len(sql)

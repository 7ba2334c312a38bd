"""Splits SQL into code, quoted texts and comments.

Semicolons and colons have a meaning only in code. Databases differ in how a quoted text or a comment ends.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple


class PartKind(Enum):
    """The kind of a part of a SQL text."""

    CODE = auto()
    #: A text or a name in quotes.
    QUOTED = auto()
    COMMENT = auto()


class Part(NamedTuple):
    """A part of a SQL text, with its quotes."""

    kind: PartKind
    text: str


@dataclass(frozen=True, kw_only=True)
class Lexis:
    """How a database writes quoted texts and comments."""

    #: Whether a comment may hold another comment.
    nested_comments: bool = False
    #: Whether a backslash escapes a quote in every text, and not only in texts that begin with E.
    backslashes: bool = False
    #: Whether ``#`` begins a comment. Then ``--`` begins one only before a space: MySQL reads ``1--1`` as a difference.
    hash_comments: bool = False
    #: Opening and closing characters of a quoted name, besides ``"``.
    names: tuple[tuple[str, str], ...] = ()
    #: Whether ``$tag$ … $tag$`` is a quoted text.
    dollars: bool = False


POSTGRESQL = Lexis(nested_comments=True, dollars=True)
_MYSQL = Lexis(backslashes=True, hash_comments=True, names=(("`", "`"),))
_SQLITE = Lexis(names=(("`", "`"), ("[", "]")))
_MSSQL = Lexis(nested_comments=True, names=(("[", "]"),))
_OTHERS = {"mysql": _MYSQL, "mariadb": _MYSQL, "sqlite": _SQLITE, "mssql": _MSSQL, "oracle": Lexis()}

#: The beginnings of quoted texts and comments, of any database.
_OPENING = re.compile(
    r"--|/\*|#|`|\[|\"|(?<![\w$])(?P<escaping>[eE])'|'|(?<![\w$])(?P<dollar>\$(?:[^\W\d]\w*)?\$)",
)
_PARENTHESIS = re.compile(r"[()]")
_STAR = re.compile(r"/\*|\*/")
#: The beginning of a statement that reads or changes rows, and the part of one that makes a table of its rows.
_QUERY = re.compile(r"[\s(]*(select|insert|update|delete|merge|with|values|table)\b", re.IGNORECASE)
_INTO_NEW = re.compile(r"\bselect\b[^;]*\binto\b", re.IGNORECASE)
_BYTE_ORDER_MARK = "\ufeff"


def lexis_of(dialect: str | None) -> Lexis:
    """The lexis of the database with SQLAlchemy's ``dialect``; PostgreSQL's for an unknown database."""
    return _OTHERS.get(dialect or "", POSTGRESQL)


def parts_of(sql: str, lexis: Lexis) -> Iterator[Part]:
    """The parts of ``sql`` in their order. Joined, they give ``sql`` without a leading byte order mark. None is empty.

    A quoted text or a comment without an end goes on to the end of ``sql``.
    """
    sql = sql.removeprefix(_BYTE_ORDER_MARK)
    start = searched = 0
    while opening := _OPENING.search(sql, searched):
        end = _end(sql, opening, lexis)
        searched = end or opening.end()
        if end is None:
            continue
        if start < opening.start():
            yield Part(PartKind.CODE, sql[start : opening.start()])
        comment = opening[0] in ("--", "/*", "#")
        yield Part(PartKind.COMMENT if comment else PartKind.QUOTED, sql[opening.start() : end])
        start = end
    if start < len(sql):
        yield Part(PartKind.CODE, sql[start:])


def code_of(sql: str, lexis: Lexis) -> str:
    """``sql`` with a space instead of each comment, and ``''`` instead of each quoted text."""
    stands_for = {PartKind.COMMENT: " ", PartKind.QUOTED: "''"}
    return "".join(stands_for.get(part.kind, part.text) for part in parts_of(sql, lexis))


#: What is said of a text that :func:`is_condition` refuses, behind the text.
NO_CONDITION = "is no SQL condition: write what could stand behind WHERE, without ';' and with a ')' for each '('."


def is_condition(written: str, lexis: Lexis) -> bool:
    """Whether ``written``, put into parentheses, stays within them, so that it can only be a condition or an error."""
    code = code_of(written, lexis)
    depth = 0
    for mark in _PARENTHESIS.findall(code):
        depth += 1 if mark == "(" else -1
        if depth < 0:
            return False
    return depth == 0 and bool(code.strip()) and ";" not in code


def changes_tables(statement: str) -> bool:
    """Whether later statements may find other tables or columns than before ``statement``."""
    code = code_of(statement, POSTGRESQL)
    return _QUERY.match(code) is None or _INTO_NEW.search(code) is not None


def _end(sql: str, opening: re.Match[str], lexis: Lexis) -> int | None:
    """The end of the quoted text or comment that begins at ``opening``; None if it is code in this lexis."""
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
    for mark in _STAR.finditer(sql, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(sql)


def _end_of_text(sql: str, quote: str, start: int, *, backslashes: bool) -> int:
    place = start
    while place < len(sql):
        if backslashes and sql[place] == "\\":
            place += 2
        elif sql[place] != quote:
            place += 1
        elif sql[place + 1 : place + 2] == quote:  # a doubled quote belongs to the text
            place += 2
        else:
            return place + 1
    return len(sql)

"""Which parts of a statement are code, quoted text or comments, by the rules of each database."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchord.core.text.sql_text import POSTGRESQL, PartKind, code_of, is_condition, lexis_of, parts_of

DIALECTS = ("postgresql", "mysql", "sqlite", "mssql", "oracle", "snowflake")


def code(sql: str, dialect: str | None = None) -> str:
    """The code alone, with a hash for each thing in quotes."""
    return code_of(sql, lexis_of(dialect)).replace("''", "#")


@pytest.mark.parametrize(
    ("sql", "left"),
    [
        ("a -- b; c\n+ d", "a  + d"),
        ("a -- to the end", "a  "),
        ("a /* b; 'c */ d", "a   d"),
        ("a /* b /* c; */ d; */ e", "a   e"),
        ("a /*/ b; */ c", "a   c"),
        ("a 'b; -- c' d", "a # d"),
        ("a 'it''s; b' c", "a # c"),
        ("a 'C:\\' ; b", "a # ; b"),
        (r"a E'it\'s; b' c", "a # c"),
        (r"a some_e'b\' ; c", "a some_e# ; c"),
        ("a U&'b;' N'c;' B'01'", "a U&# N# B#"),
        ('a "b;c" "d""e;" f', "a # # f"),
        ("a $$ b; ' $$ c", "a # c"),
        ("a $t$ b; $$ $t$ c", "a # c"),
        ("a $1 + b$c$ ; d", "a $1 + b$c$ ; d"),
        ("a - -b ->> '{c;}' #> '{d}' d", "a - -b ->> # #> # d"),
        ("a 'never ends; b", "a #"),
        ("a /* never ends; b", "a  "),
        ("\ufeffa", "a"),
        ("", ""),
    ],
)
def test_postgresqls_quotes_and_comments(sql: str, left: str) -> None:
    """They are read as PostgreSQL's scanner reads them. Unknown databases are read in the same way."""
    assert code(sql) == code(sql, "postgresql") == code(sql, "cockroachdb") == left


@pytest.mark.parametrize(
    ("dialect", "sql", "left"),
    [
        ("mysql", r"a 'it\'s; b' c", "a # c"),
        ("mysql", r'a "it\"s; b" c', "a # c"),
        ("mysql", "a `b;c` # d;\ne", "a #  e"),
        ("mysql", "a 1--1; -- b", "a 1--1;  "),
        ("mariadb", "a /* b /* c */ d", "a   d"),
        ("sqlite", "a [b;c] `d;` 'e\\' f", "a # # # f"),
        ("sqlite", "a /* b /* c */ d", "a   d"),
        ("mssql", "a [b;c] /* d /* e */ ; */ f", "a #   f"),
        ("oracle", "a $$ b; $$", "a $$ b; $$"),
        ("postgresql", "a[1:2] b", "a[1:2] b"),
    ],
)
def test_other_databases_have_their_own(dialect: str, sql: str, left: str) -> None:
    """The same text may end elsewhere."""
    assert code(sql, dialect) == left


@given(sql=st.text(alphabet="ae;:'\"`-/*#$\\[] \n\ufeff", max_size=40), dialect=st.sampled_from(DIALECTS))
def test_the_parts_are_the_text(sql: str, dialect: str) -> None:
    """Whatever it is, nothing is lost and nothing is twice."""
    parts = list(parts_of(sql, lexis_of(dialect)))

    assert "".join(part.text for part in parts) == sql.removeprefix("\ufeff")
    assert all(part.text for part in parts)
    assert not any(one.kind is other.kind is PartKind.CODE for one, other in pairwise(parts))


@pytest.mark.parametrize(
    ("written", "is_one"),
    [
        ("score > 0.9", True),
        ("label IN ('a;b', ')') -- )", True),
        ("(a) OR (b)", True),
        ("", False),
        ("/* nothing */", False),
        ("true; DROP TABLE x", False),
        ("true) OR (true", False),
        ("(true", False),
        ("true)", False),
    ],
)
def test_a_condition_stays_within_its_parentheses(written: str, is_one: bool) -> None:  # noqa: FBT001 -- a parameter
    """What stands in quotes and comments does not count."""
    assert is_condition(written, POSTGRESQL) is is_one

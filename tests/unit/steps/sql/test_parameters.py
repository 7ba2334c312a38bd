"""The parameters of a statement, and texts in it that only look like parameters."""

from typing import Any

import pytest
import sqlalchemy as sa

from batchord.core.errors import ConfigurationError
from batchord.steps.sql.parameters import bound


def names(sql: str, dialect: str = "postgresql", **values: Any) -> set[str]:
    """The names of the parameters in a statement."""
    return set(bound(sql, values, dialect=dialect).compile().params)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT '12:30', ':x', 'it''s :x', E'it\\'s :x'",
        "SELECT x::int, '1'::text, a[1:n]",
        'SELECT 1 AS ":x"',
        "SELECT 1 -- :x; and more\n + 1",
        "SELECT /* :x;\n 'unclosed */ 1",
        "SELECT /* a /* nested; */ :x */ 1",
        "SELECT $$ :x; ' $$, $body$ :x $$ $body$",
        r"SELECT '\:x', 'C:\', ' :y'",
    ],
)
def test_casts_texts_names_and_comments_hold_no_parameters(sql: str) -> None:
    """They reach the database exactly as they were written."""
    clause = bound(sql, {}, dialect="postgresql")
    assert not clause.compile().params
    assert str(clause.compile()) == sql


def test_parameters_are_found_beside_them() -> None:
    """A parameter may also have a cast."""
    assert names("SELECT ':no', :a::int, (:b), x=:c -- :no", a=1, b=2, c=3, unused=4) == {"a", "b", "c"}


def test_a_byte_order_mark_is_no_part_of_the_statement() -> None:
    """Editors put it in front of files."""
    assert str(bound("\ufeffSELECT 1", {}, dialect="postgresql").compile()) == "SELECT 1"


def test_a_backslash_takes_the_meaning_of_a_colon() -> None:
    """For what is left, such as the slice of an array."""
    assert str(bound(r"SELECT a[\:n]", {}, dialect="postgresql").compile()) == "SELECT a[:n]"


def test_mysql_escapes_quotes_with_a_backslash() -> None:
    """The same text ends elsewhere in PostgreSQL."""
    assert names(r"SELECT 'it\' :a' , :b", "mysql", b=1) == {"b"}
    assert names(r"SELECT 'C:\' , :b", "postgresql", b=1) == {"b"}


def test_a_parameter_without_a_value_is_the_authors() -> None:
    """The message names it, and those there are."""
    with pytest.raises(ConfigurationError, match=r":wher, which has no value. The parameters are: what, where"):
        names("SELECT :what, :wher", what=1, where=2)


@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "DELETE FROM a; -- and\nDELETE FROM b;"])
def test_several_statements_in_one_text_are_refused(sql: str) -> None:
    """Each has a text of its own."""
    with pytest.raises(ConfigurationError, match="Give a list with one text for each statement"):
        names(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1;",
        "SELECT 1; -- ; done\n ;",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
        "ROLLBACK TO SAVEPOINT s",
    ],
)
def test_what_only_looks_like_several_statements_is_one(sql: str) -> None:
    """A semicolon may end a statement, or stand within it."""
    assert names(sql) == set()


@pytest.mark.parametrize(
    "sql", ["COMMIT", "/* now */ commit and chain;", "BEGIN", "start  transaction", "ROLLBACK", "END", "ABORT"]
)
def test_a_statement_that_ends_the_transaction_is_refused(sql: str) -> None:
    """All statements of a step are committed together."""
    with pytest.raises(ConfigurationError, match="leave it out"):
        names(sql)


def test_lists_and_dicts_are_json() -> None:
    """On every database; all else is left to its driver."""
    clause = bound("SELECT :a, :b, :c", {"a": [1], "b": {"x": None}, "c": "text"}, dialect="postgresql")
    types = {name: type(each.type) for name, each in clause._bindparams.items()}  # noqa: SLF001 -- shown nowhere else
    assert types == {"a": sa.JSON, "b": sa.JSON, "c": sa.types.NullType}

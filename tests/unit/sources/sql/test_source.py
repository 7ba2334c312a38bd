"""Which texts are taken for a query, and when a query reads its run's window."""

from typing import Any

import pytest

from batchord.sources.sql import SqlSource

VALID = [
    "SELECT id FROM t;",
    "SELECT id FROM t ;  \n\n ;",
    "SELECT id FROM t; -- all of them",
    "SELECT id FROM t /* all; of them */ ; /* done */",
    "-- reviews; of all\nSELECT id FROM t",
    "/* reviews; /* of */ all */ SELECT id FROM t -- the; end",
    "(SELECT id FROM t) UNION ALL (SELECT id FROM u)",
    "((SELECT id FROM t))",
    "\ufeffSELECT id FROM t",
    "\n\t with a AS (SELECT 1) SELECT * FROM a",
    "VALUES (1, ';')",
    "TABLE t",
    "SELECT split_part(tags, ';', 1) FROM t",
    "SELECT string_agg(tags, '; -- ') FROM t",
    'SELECT id AS "a;b" FROM t',
    "SELECT $$a; b$$, E'it\\'s; c' FROM t",
]


@pytest.mark.parametrize("sql", VALID)
def test_a_query_is_taken_as_it_is_written(sql: str) -> None:
    """Quotes, comments and parentheses are nobody's business but the database's."""
    assert SqlSource(sql, key="id").problems() == []


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT 1; SELECT 2", "has a ';' inside"),
        ("SET work_mem = '1MB'; SELECT id FROM t", "must be a query"),
        ("SELECT 1 /* ; */; -- and\nSELECT 2;", "has a ';' inside"),
        ("UPDATE t SET a = 1 RETURNING id", "must be a query"),
        ("-- SELECT id FROM t", "must be a query"),
        ("'SELECT'", "must be a query"),
        ("", "must be a query"),
    ],
)
def test_what_is_no_query_or_several_is_refused(sql: str, said: str) -> None:
    """At once, by its declaration."""
    assert any(said in problem for problem in SqlSource(sql, key="id").problems())


def test_the_database_decides_what_is_quoted() -> None:
    """Where only a variable knows it, what one of them takes is left to be tried."""
    sql = r"SELECT 'it\'s; all', `a;b` FROM t"
    assert SqlSource(sql, key="id").problems() != []
    assert SqlSource(sql, key="id", url="mysql+pymysql://shop/shop").problems() == []
    assert SqlSource(sql, key="id", url_env="SHOP").problems() == []


@pytest.mark.parametrize(
    ("sql", "uses", "bounded"),
    [
        ("SELECT id FROM t WHERE at >= :window_start AND at < :window_end::timestamptz", True, True),
        ("SELECT id FROM t WHERE at < :window_end -- and not: at >= :window_start", True, False),
        ("SELECT id FROM t -- WHERE at >= :window_start AND at < :window_end", False, False),
        ("/* from :window_start on? */ SELECT id, ' :window_end' AS s FROM t", False, False),
        ('SELECT id AS ":window_start", $$ :window_end $$ FROM t', False, False),
        ("SELECT id::window_end FROM t", False, False),
    ],
)
def test_only_a_parameter_in_the_code_reads_the_window(sql: str, *, uses: bool, bounded: bool) -> None:
    """Not a comment about one, and not a text that looks like one."""
    source = SqlSource(sql, key="id")
    assert (source.uses_window, source.is_bounded) == (uses, bounded)


@pytest.mark.parametrize(
    ("dtypes", "said"),
    [
        ({"a": "category"}, "asks for 'category' in column 'a': use one of int64, Int64"),
        ({"id": "str"}, "names the key 'id'"),
        (["int64"], "is a list: give a dict"),
    ],
)
def test_types_that_cannot_be_had_are_refused(dtypes: dict[str, str], said: str) -> None:
    """A type that depends on a batch's values, above all."""
    assert any(said in problem for problem in SqlSource("SELECT 1 AS id", key="id", dtypes=dtypes).problems())


def test_types_do_not_make_another_source() -> None:
    """Its frontier would be void, and all of it read again."""
    assert SqlSource("TABLE t", key="id", dtypes={"a": "str"}).digest == SqlSource("TABLE t", key="id").digest


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ([], "the source has no key"),
        ("", "the source has no key"),
        (7, "key=7: give the name of a column as a text, or a list of several"),
        ({"a", "b"}, "give the name of a column as a text, or a list of several"),
        (["a", 7], "key=['a', 7]: give the names of columns as texts"),
        (["a", ""], "give the names of columns as texts"),
        ([7], "key=7: give the name of a column as a text"),
        (["a", "b", "a"], "key=['a', 'b', 'a'] names 'a' more than once"),
    ],
)
def test_what_is_no_key_is_refused(key: Any, said: str) -> None:
    """With what to write instead."""
    problems = SqlSource("SELECT 1 AS a, 2 AS b", key=key).problems()
    assert any(said in problem for problem in problems), problems


def test_a_key_may_be_several_columns() -> None:
    """A list is a tuple, and a list of one column is that column: it is the same source."""
    source = SqlSource("SELECT 1 AS a, 2 AS b", key=["a", "b"])
    assert source.problems() == []
    assert source == SqlSource("SELECT 1 AS a, 2 AS b", key=("a", "b"))
    assert hash(source) == hash(SqlSource("SELECT 1 AS a, 2 AS b", key=("a", "b")))
    assert (source.key_columns, source.key_name) == (("a", "b"), "a, b")
    alone = SqlSource("SELECT 1 AS a", key=["a"])
    assert alone == SqlSource("SELECT 1 AS a", key="a")
    assert alone.digest == SqlSource("SELECT 1 AS a", key="a").digest
    assert len({each.digest for each in (source, alone, SqlSource("SELECT 1 AS a, 2 AS b", key=["b", "a"]))}) == 3
    typed = SqlSource("SELECT 1 AS a, 2 AS b", key=["a", "b"], dtypes={"b": "int64"})
    assert "dtypes= names the key 'b', which is a level of the frame's index" in typed.problems()[0]

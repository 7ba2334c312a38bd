"""Queries as authors write them reach PostgreSQL as they are: comments, quotes, parentheses, marks at either end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from batchord.sources.sql import SqlSource
from batchord.sources.sql.engine import dispose_engines
from batchord.sources.sql.reader import open_source

WINDOW = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
#: Queries, and what they give for the record whose key is 1.
QUERIES = [
    ("SELECT id, split_part(tags, ';', 1) AS tag FROM items; -- the first; of all", "red"),
    ("SELECT id, string_agg(tags, '; ') AS tag FROM items GROUP BY id ;;", "red;blue"),
    ("SELECT id, tags AS tag -- as they come; unsplit\nFROM items", "red;blue"),
    ("(SELECT id, tags AS tag FROM items) UNION ALL (SELECT id + 10, tags FROM items)", "red;blue"),
    ("-- Tags.\n-- Owner: data; team /*\nSELECT id, tags AS tag FROM items", "red;blue"),
    ("/* a /* nested; */ one */ SELECT id, tags AS tag FROM items /* the end */", "red;blue"),
    ("\ufeffSELECT id, tags AS tag FROM items", "red;blue"),
    ('SELECT id, tags AS "a;b", tags AS tag FROM items', "red;blue"),
    ("SELECT id, ' :window_end 100%s' AS tag FROM items -- :window_start", " :window_end 100%s"),
    ("SELECT id, $t$it's; \\:x$t$ || E'\\':y' AS tag FROM items", "it's; \\:x':y"),
    ("SELECT id, tags AS tag FROM items\r\n -- end\r\n", "red;blue"),
    ("SELECT id, (CASE WHEN at < :window_end THEN ':window_end' END)::text AS tag FROM items", ":window_end"),
    ("SELECT id, (ARRAY['a','b','c'])[2:3]::text AS tag FROM items WHERE '{\"a\":1}'::jsonb ? 'a'", "{b,c}"),
]


@pytest.fixture
def url(empty_database_url: str) -> Iterator[str]:
    """A database with two records."""
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE items (id int PRIMARY KEY, tags text, at timestamptz DEFAULT '2026-01-01')")
        connection.execute("INSERT INTO items VALUES (1, 'red;blue'), (2, 'green')")
    yield empty_database_url
    dispose_engines()


def test_a_query_reaches_the_database_as_it_was_written(url: str) -> None:
    """It can be planned and read, and the only thing that is filled in is the window."""
    for sql, tag in QUERIES:
        declared = SqlSource(sql, key="id", settle=timedelta(0))
        assert declared.problems() == [], sql
        source = open_source(declared, default_url=url, window=WINDOW if declared.uses_window else None)
        ((first, *_, last),) = source.keys(after=None, chunk_rows=100)
        ((frame, rejections),) = source.rows(first=first, last=last, chunk_rows=100)
        assert (frame["tag"].iloc[0], rejections) == (tag, []), sql

"""The name of a table that an author gives for predictions."""

from typing import Any

import pytest

from batchord.core.declared.steps import Predict
from batchord.core.declared.table_names import table_name
from batchord.core.run.results import TableName
from batchord.sources.sql import SqlSource

_NAMES = {
    "reviews": ("public", "reviews"),
    "shop.reviews_2": ("shop", "reviews_2"),
    '"Review Moods"': ("public", "Review Moods"),
    'shop."a.b"': ("shop", "a.b"),
    '"Shop"."say ""hi"""': ("Shop", 'say "hi"'),
}


@pytest.mark.parametrize(("written", "parts"), _NAMES.items(), ids=_NAMES)
def test_names_are_as_in_sql(written: str, parts: tuple[str, str]) -> None:
    """Without a schema, it is a table of ``public``."""
    assert table_name(written) == TableName(schema=parts[0], table=parts[1])


def test_a_name_is_shown_as_sql_needs_it() -> None:
    """With quotes where PostgreSQL would read another name."""
    assert [str(table_name(each)) for each in _NAMES] == [
        "public.reviews",
        "shop.reviews_2",
        'public."Review Moods"',
        'shop."a.b"',
        '"Shop"."say ""hi"""',
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Reviews", "into='Reviews' cannot be the name of a table"),
        ("a.b.c", "into='a.b.c' cannot be the name of a table"),
        ("reviews; DROP TABLE runs", "cannot be the name of a table"),
        ('"100 %"', "cannot be the name of a table"),
        ("", "into='' cannot be the name of a table"),
        (7, "into=an int cannot be the name of a table"),
        ("x" * 64, "is too long: PostgreSQL's names have at most 63 bytes"),
        ("batchord.runs", "the schema batchord is not for your tables"),
        ("batchord_results.mine", "the schema batchord_results is not for your tables"),
        ("pg_catalog.mine", "the schema pg_catalog is not for your tables"),
    ],
    ids=["upper case", "three parts", "statement", "percent", "empty", "number", "long", "ledger", "results", "system"],
)
def test_what_is_no_name_is_a_problem(written: Any, said: str) -> None:
    """The declaration says so without a database."""
    source = SqlSource("SELECT 1 AS id", key="id")

    (problem,) = Predict("score", source=source, model=len, into=written).problems()

    assert said in problem


def test_the_table_is_no_part_of_the_code() -> None:
    """A change of it predicts nothing again."""
    source = SqlSource("SELECT 1 AS id", key="id")
    one, other = (Predict("score", source=source, model=len, into=into) for into in (None, "reviews"))

    assert (one.code, one.source_digest) == (other.code, other.source_digest)

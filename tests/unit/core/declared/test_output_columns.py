"""What an author may declare as ``outputs=``."""

from typing import Any

import pytest

from batchord.core.declared.steps import Predict
from batchord.core.run.output_types import output_type, takes_values
from batchord.sources.sql import SqlSource


def problems(outputs: Any) -> list[str]:
    """Those of a step with these outputs, whose source has the key ``id``."""
    return Predict("a", source=SqlSource("SELECT id FROM t", key="id"), model=len, outputs=outputs).problems()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("bool", "boolean"),
        ("INT", "integer"),
        ("float8[]", "double precision[]"),
        ("double  precision", "double precision"),
        ("numeric( 8 , 2 )", "numeric(8,2)"),
        ("decimal(8)", "numeric(8,0)"),
        ("varchar(20)[]", "character varying(20)[]"),
        ("character varying", "character varying"),
        ("timestamptz", "timestamp with time zone"),
        ("time", "time without time zone"),
        ("jsonb", "jsonb"),
        ("vector(768)", "vector(768)"),
        ("halfvec(3)", "halfvec(3)"),
    ],
)
def test_types_are_read_as_in_sql(written: str, read: str) -> None:
    """They become the names that PostgreSQL uses itself."""
    assert str(output_type(written)) == read
    assert problems({"items": written}) == []
    assert takes_values(read, output_type(written))  # type: ignore[arg-type]  # it is one


@pytest.mark.parametrize(
    "written",
    [
        *("", "money", "real[][]", "real[3]", "vector", "vector(0)", "vector(3)[]", "vector(16001)", "text(3)"),
        *("varchar(0)", "varchar(1,2)", "numeric(2,3)", "numeric(1001)", "serial", "text; DROP TABLE t", "timetz"),
        "int(4)",
    ],
)
def test_other_types_are_problems(written: str) -> None:
    """The sentence has examples of types."""
    (problem,) = problems({"items": written})
    assert problem.startswith(f"outputs= has the type {written!r} for 'items': give a type such as boolean, ")


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        (["items"], "outputs= is a list: give names and types, such as {'items': 'jsonb'}"),
        ({"Items": "jsonb"}, "outputs= has the name 'Items', which cannot be a column"),
        ({"a b": "jsonb"}, "which cannot be a column"),
        ({"x" * 64: "jsonb"}, "which cannot be a column"),
        ({3: "jsonb"}, "outputs= has the name 3, which cannot be a column"),
        ({"score": "real"}, "outputs= has the name 'score', which the table of predictions uses"),
        ({"writer": "int"}, "which the table of predictions uses"),
        ({"prediction_label": "text"}, "which the table of predictions uses"),
        ({"run_id": "uuid"}, "which the table of predictions uses"),
        ({"ctid": "text"}, "which the table of predictions uses"),
        ({"id": "text"}, "outputs= has the name 'id', which is the source's key"),
        ({"items": int}, "outputs= has the class int as the type of 'items'"),
    ],
)
def test_other_names_are_problems(outputs: Any, problem: str) -> None:
    """Before anything runs."""
    (found,) = problems(outputs)
    assert problem in found


@pytest.mark.parametrize(
    ("existing", "wanted", "takes"),
    [
        ("bigint", "smallint", True),
        ("numeric", "int", True),
        ("numeric(8,2)", "int", False),
        ("numeric", "numeric(8,2)", True),
        ("double precision[]", "real[]", True),
        ("double precision", "real[]", False),
        ("real", "float8", False),
        ("text", "varchar(3)", True),
        ("character varying(5)", "varchar(3)", True),
        ("character varying(3)", "varchar(5)", False),
        ("character varying(3)", "varchar", False),
        ("character varying", "varchar(5)", True),
        ("json", "jsonb", False),
        ("vector(3)", "vector(4)", False),
        ("integer", "text", False),
    ],
)
def test_a_wider_column_takes_the_values(existing: str, wanted: str, *, takes: bool) -> None:
    """Unchanged, each of them."""
    kind = output_type(wanted)
    assert kind is not None
    assert takes_values(existing, kind) is takes

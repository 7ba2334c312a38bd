"""Columns for keys of the output in tables that the author names, in checks, and in files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.core.run.exported import Wanted
from batchord.core.run.key_columns import KeyColumn
from batchord.core.run.runs import RunState
from batchord.exports.export import export
from batchord.exports.formats import Format
from tests.integration.flow_parts import ITEMS, STEP, Bench
from tests.integration.test_outputs import ETA, OUTPUTS, answers, insert

NEEDED = "id bigint PRIMARY KEY, label text, score float8, writer int, predicted_at timestamptz NOT NULL DEFAULT now()"


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Parts over one test's database."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


def problems(bench: Bench) -> list[str]:
    """What ``batchord check`` says of the step's table."""
    step = bench.catalog.get(ITEMS).predict_step(STEP)
    tables, columns = bench.ledger.result_tables, step.output_columns
    if step.into_table is None:
        return tables.problems_of_own(ITEMS, STEP, columns)
    return tables.problems(ITEMS, STEP, step.into_table, KeyColumn(name="id", type="bigint"), columns)


def test_a_table_that_is_made_has_the_columns(bench: Bench) -> None:
    """Later ones are added to it, as to one whose name Batchord has chosen."""
    insert(bench, 1)
    bench.declare(answers, into="moods", outputs={"items": "jsonb"})
    assert bench.run().predicted == 1
    insert(bench, 1)
    bench.declare(answers, into="moods", outputs=OUTPUTS)
    assert problems(bench) == []
    assert bench.run().predicted == 1
    assert bench.sql("SELECT id, items IS NULL, embedding IS NULL, eta IS NULL FROM moods ORDER BY id") == [
        (1, False, True, True),
        (2, False, False, False),
    ]
    assert bench.column("SELECT output -> 'embedding' -> 0 FROM batchord.current_predictions") == [0.1, 0.1]


def test_a_table_of_the_authors_must_have_them(bench: Bench) -> None:
    """The check and the plan name what is missing or wrong, with the SQL that corrects it; nothing is altered."""
    insert(bench, 2)
    bench.sql(f"CREATE TABLE moods ({NEEDED}, items text, note text); GRANT ALL ON moods TO batchord_author")
    bench.declare(answers, into="moods", outputs={**OUTPUTS, "note": "varchar(9)"})
    missing, wrong = problems(bench)
    assert missing == (
        "it lacks columns: ALTER TABLE public.moods ADD COLUMN embedding real[], ADD COLUMN eta timestamp with time "
        "zone"
    )
    assert wrong == (
        "its column items is of type text, not jsonb: ALTER TABLE public.moods ALTER COLUMN items TYPE jsonb USING "
        "items::jsonb"
    )
    assert bench.run().state is RunState.FAILED
    for sentence in (missing, wrong):
        bench.sql(sentence.partition(": ")[2])
    assert problems(bench) == []
    assert bench.run().predicted == 2
    assert bench.sql("SELECT note, embedding[2], items -> 0 -> 'id' FROM moods ORDER BY id") == [
        ("of 1", 1.0, 1),
        ("of 2", 2.0, 2),
    ]
    bench.declare(answers, into="moods", outputs={"note": "int"})
    (shown,) = problems(bench)
    assert shown == "its column note is of type text, not integer: declare that type, or name another table"


def test_a_refused_row_of_the_authors_table_is_refused_by_it(bench: Bench) -> None:
    """As without columns for keys of the output."""
    insert(bench, 9)
    bench.sql(f"CREATE TABLE moods ({NEEDED}, note text CHECK (note <> 'of 3')); GRANT ALL ON moods TO batchord_author")
    bench.declare(answers, into="moods", outputs={"note": "text"})
    assert bench.run().predicted == 8
    assert bench.sql("SELECT record_key, reason FROM batchord.rejections") == [("3", "refused-by-table")]


def test_vectors_need_their_extension(bench: Bench) -> None:
    """Without it, the check says so, and the plan fails before anything is predicted."""
    insert(bench, 1)
    wanted = (
        "its column embedding needs the type vector of the extension pgvector, which the ledger's database lacks: as "
        "an administrator, CREATE EXTENSION vector"
    )
    for into in (None, "moods"):
        bench.declare(answers, into=into, outputs={"embedding": "vector(3)"})
        assert problems(bench) == [wanted]
        assert bench.run().state is RunState.FAILED
    assert bench.value("SELECT count(*) FROM batchord.results") == 0


@pytest.mark.parametrize("schema", ["public", "ext"])
def test_vectors_are_vectors(bench: Bench, tmp_path: Path, schema: str) -> None:
    """In whatever schema their extension is; the views and files show lists of numbers."""
    insert(bench, 2)
    bench.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}; CREATE EXTENSION vector SCHEMA {schema}")
    kinds = {"embedding": "vector(3)", "note": "text"}
    bench.declare(answers, outputs=kinds)
    assert problems(bench) == []
    assert bench.run().predicted == 2
    assert bench.sql("SELECT embedding::text FROM batchord_results.items__score ORDER BY id") == [
        ("[0.1,1,0]",),
        ("[0.1,2,0]",),
    ]
    shown = bench.column("SELECT output -> 'embedding' FROM batchord.current_predictions ORDER BY record_key")
    assert shown == [[0.1, 1, 0], [0.1, 2, 0]]
    rows = exported(bench, tmp_path / "a.jsonl", "embedding")
    assert rows == [{"embedding": [0.1, 1.0, 0.0]}, {"embedding": [0.1, 2.0, 0.0]}]
    insert(bench, 1)
    bench.declare(answers, outputs={**kinds, "embedding": "vector(2)"})
    assert bench.run().state is RunState.FAILED
    bench.declare(answers, outputs={"items": "jsonb"})
    assert bench.run().predicted == 1
    bench.declare(answers, into="moods", outputs={"embedding": "halfvec(3)"})
    insert(bench, 1)
    assert bench.run().predicted == 1
    assert bench.column("SELECT output -> 'embedding' -> 1 FROM batchord.current_predictions ORDER BY record_key") == [
        1,
        2,
        3,
        4,
    ]


def test_only_the_ledgers_role_adds_columns(bench: Bench, database_roles: DatabaseRoles) -> None:
    """Only of types of the list, and under names that the table does not use."""
    insert(bench, 1)
    bench.declare(answers)
    bench.run()
    number = bench.value("SELECT id FROM batchord.results")
    for url in (database_roles.author, database_roles.source):
        with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT batchord.add_outputs(%s, '{}')", [number])
    for wanted in ({"a": "int); DROP TABLE x"}, {"a": "regclass"}, {"label": "text"}, {"id": "text"}, {'a"': "text"}):
        with psycopg.connect(database_roles.ledger) as connection, pytest.raises(psycopg.errors.RaiseException):
            connection.execute("SELECT batchord.add_outputs(%s, %s)", [number, json.dumps(wanted)])


def exported(bench: Bench, path: Path, *names: str) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines."""
    wanted = Wanted(pipeline=ITEMS, step=STEP, where="note IS NOT NULL")
    export(bench.ledger, wanted, names, format=Format.JSONL, opened=lambda: path.open("wb"))
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_files_have_the_columns(bench: Bench, tmp_path: Path) -> None:
    """Lists are lists, numbers are numbers; rows of a table that lacks a column have NULL there."""
    kinds = {**OUTPUTS, "note": "text"}
    insert(bench, 1)
    bench.declare(answers)
    bench.run()
    insert(bench, 1)
    bench.declare(answers, into="moods", outputs=kinds)
    bench.run()
    (row,) = exported(bench, tmp_path / "a.jsonl", "record_key", *kinds)
    assert row == {
        "record_key": 2,
        "items": [{"id": 2, "rank": 1}],
        "embedding": [0.1, 2.0, 0.0],
        "eta": "2026-01-02T03:04:07.000000+00:00",
        "note": "of 2",
    }
    assert ETA.year == 2026
    assert sorted(bench.ledger.exports.outputs(ITEMS, STEP)) == sorted(kinds)
    assert bench.column("SELECT output ->> 'note' FROM batchord_results.items__score") == ["of 1"]

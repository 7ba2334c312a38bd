"""`batchord export`: the predictions that are served now, in a file."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from app.cli.export import export
from batchord import Python
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.run.exported import Wanted
from batchord.core.run.runs import RunState
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench

#: Values that a format, a spreadsheet or a terminal may take for something else.
LABELS = ["=1+1", "-1", "@x", 'say "yes", no', "a\r\nb", "ünïcödé 猫", "\x1b[2J", " NULL "]
_AS_IS = {"keep_default_na": False, "na_values": [""]}


def same(frame: pd.DataFrame) -> pd.DataFrame:
    """The text as the label, its length as the score, and more for each."""
    return pd.DataFrame(
        {
            "label": frame["body"],
            "score": frame["body"].str.len() / 3,
            "more": [{"text": text} for text in frame["body"]],
        },
        index=frame.index,
    )


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Predictions with odd labels; the folder is the command's."""
    with Bench(database_url, tmp_path / "home") as bench:
        for label in LABELS:
            bench.sql("INSERT INTO records (body) VALUES (%s)", label)
        bench.declare(same)
        bench.run()
        monkeypatch.setattr("batchord.wiring.ledger", lambda: bench.ledger)
        monkeypatch.setattr("batchord.wiring.catalog", lambda: bench.catalog)
        monkeypatch.chdir(tmp_path)
        yield bench


def called(*arguments: str) -> Result:
    """The command over the pipeline of most tests."""
    return CliRunner().invoke(export, [ITEMS, *arguments])


def refused(*arguments: str) -> str:
    """The message with which the command refuses."""
    result = called(*arguments)
    assert result.exit_code != 0
    return result.output + str(result.exception)


def rows(*arguments: str) -> list[dict[str, Any]]:
    """The rows as JSON lines."""
    result = called("-o", "-", "--format", "jsonl", *arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return [json.loads(line) for line in result.stdout.split("\n")[:-1]]


def test_pandas_reads_csv_as_it_was_predicted(bench: Bench, tmp_path: Path) -> None:
    """Also what a spreadsheet takes for a formula."""
    bench.sql(f"UPDATE {bench.table()} SET label = NULL WHERE id = 8")  # noqa: S608
    result = called("-o", "items.csv")

    frame = pd.read_csv("items.csv", parse_dates=["predicted_at"], **_AS_IS)
    assert list(frame.columns) == ["record_key", "label", "score", "output", "model_version", "run_id", "predicted_at"]
    assert frame["record_key"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert frame["label"].tolist()[:7] == LABELS[:7]
    assert pd.isna(frame["label"].iloc[7])
    assert frame["score"].tolist() == [len(label) / 3 for label in LABELS]
    assert [json.loads(text)["more"]["text"] for text in frame["output"]] == LABELS
    assert set(frame["run_id"]) == {bench.value("SELECT id::text FROM batchord.runs")}
    assert frame["predicted_at"].tolist() == bench.column("SELECT predicted_at FROM batchord.predictions ORDER BY 1")
    size = Path("items.csv").stat().st_size
    assert result.output.startswith(f"items.csv: 8 rows, {size:,} bytes (1.")
    assert [each.name for each in tmp_path.iterdir()] == ["items.csv"]


def test_pandas_reads_json_lines_as_it_was_predicted(bench: Bench) -> None:
    """Outputs are values, and numbers are numbers."""
    bench.sql(f"UPDATE {bench.table()} SET output = NULL, score = NULL WHERE id = 8")  # noqa: S608
    assert called("-o", "items.jsonl").exit_code == 0

    frame = pd.read_json(Path("items.jsonl"), lines=True)
    assert frame["label"].tolist() == LABELS
    assert frame["record_key"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert frame["output"].tolist() == [{"more": {"text": label}} for label in LABELS[:7]] + [None]
    assert pd.to_datetime(frame["predicted_at"]).tolist() == bench.column(
        "SELECT predicted_at FROM batchord.predictions ORDER BY record_key"
    )


def test_a_program_gets_the_facts(bench: Bench) -> None:  # noqa: ARG001 -- its rows
    """With --json; the file is named by its format."""
    told = json.loads(called("-o", "items.txt", "--format", "csv", "--columns", "score,step", "--json").output)

    assert told["seconds"] >= 0
    assert {**told, "seconds": 0} == {
        "pipeline": ITEMS,
        "step": STEP,
        "file": "items.txt",
        "format": "csv",
        "columns": ["score", "step"],
        "rows": 8,
        "bytes": Path("items.txt").stat().st_size,
        "seconds": 0,
    }


def test_standard_output_has_the_rows_alone(bench: Bench) -> None:  # noqa: ARG001 -- as above
    """The closing line is on standard error."""
    result = called("-o", "-", "--format", "csv", "--columns", "record_key,shard")

    assert pd.read_csv(io.StringIO(result.stdout))["record_key"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert result.stderr.startswith("8 rows, 58 bytes, ")


def test_each_record_has_the_row_that_is_served(bench: Bench) -> None:
    """The newest prediction; a condition and a time see no older one."""
    old = datetime.now(UTC) - timedelta(days=9)
    served = bench.sql(f"DELETE FROM {bench.table()} WHERE id < 5 RETURNING id::text")  # noqa: S608
    for version, label, at in (("old", "older", old), ("new", "newer", old + timedelta(days=1))):
        bench.insert_earlier(
            "SELECT 'items', 'score', id, %s, gen_random_uuid(), 0, 1 FROM unnest(%s::text[]) AS id",
            version,
            [key for (key,) in served],
        )
        bench.sql(
            "UPDATE batchord.earlier_predictions SET label = %s, predicted_at = %s WHERE model_version = %s",
            label,
            at,
            version,
        )

    assert [row["label"] for row in rows()] == ["newer"] * 4 + LABELS[4:]
    assert rows("--where", "label = 'older'") == []
    assert rows("--since", (datetime.now(UTC) + timedelta(hours=1)).isoformat()) == []
    assert len(rows("--since", old.isoformat())) == 8


def test_conditions_choose_rows(bench: Bench) -> None:
    """By all columns of the view; colons, percents, braces and comments are SQL's."""
    bench.declare(same, source=SqlSource("SELECT 'k' || id AS id, body FROM records", key="id"), name="texts")
    bench.run("texts")

    assert [row["record_key"] for row in rows("--where", "record_key::int > 6 -- the last")] == [7, 8]
    assert len(rows("--where", 'label LIKE \'%NULL%\' AND output = \'{"more": {"text": " NULL "}}\'')) == 1
    assert [row["score"] for row in rows("--where", "label = '@x'", "--columns", "score")] == [2 / 3]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("scor > 1", "--where 'scor > 1' cannot be used: PostgreSQL says at character 1: column \"scor\" does not"),
        ("score > 'x'", "at character 9: invalid input syntax for type double precision"),
        ("score >", "at its end: syntax error"),
        ("label::int = 1", "PostgreSQL says: invalid input syntax for type integer"),
        ("1 / (shard - shard) = 1", "PostgreSQL says: division by zero"),
        ("lo_create(0) > 0", "cannot execute lo_create() in a read-only transaction"),
        ("set_config('transaction_read_only', 'off', true) = 'off'", "must be set before any query"),
        ("true; DELETE FROM batchord.predictions", "is no SQL condition"),
        ("true) OR (true", "is no SQL condition"),
        ("own_function()", "function own_function() does not exist"),
    ],
)
def test_a_wrong_condition_is_refused_in_postgresqls_words(bench: Bench, where: str, told: str) -> None:
    """It leaves no file, and can change nothing."""
    bench.sql("CREATE FUNCTION own_function() RETURNS boolean LANGUAGE sql AS 'SELECT true'")

    assert told in refused("-o", "items.csv", "--where", where)
    assert not Path("items.csv").exists()
    assert len(rows()) == 8


def test_keys_are_numbers_only_if_the_source_has_numbers(bench: Bench) -> None:
    """A text of digits stays a text, and so do numbers beyond 64 bits."""
    bench.declare(same, source=SqlSource("SELECT id::text AS id, body FROM records", key="id"), name="texts")
    bench.run("texts")
    texts = CliRunner().invoke(export, ["texts", "-o", "-", "--format", "jsonl"]).stdout
    assert json.loads(texts.split("\n")[0])["record_key"] == "1"

    assert rows()[0]["record_key"] == 1
    bench.sql("DELETE FROM batchord.frontiers")  # the shards know it, too
    assert rows()[0]["record_key"] == 1
    bench.forget("8")
    bench.insert_earlier("SELECT 'items', 'score', %s, 'v', gen_random_uuid(), 0, 1", str(2**64))
    assert {type(row["record_key"]) for row in rows()} == {str}


def test_steps_are_chosen_and_wrong_ones_explained(bench: Bench) -> None:
    """A step that the file has no more has its predictions still."""
    steps = [Predict("new", source=RECORDS, model=same), Predict("other", source=RECORDS, model=same)]
    bench.catalog.pipelines[ITEMS] = Pipeline(ITEMS, steps=[*steps, Python("tell", print, after="new")])

    assert refused("-o", "a.csv").endswith(f"{ITEMS} has several Predict steps: new, other. Name one: `--step new`.")
    assert "Step tell of items is a python step, which predicts nothing. Its Predict steps: new, other." in refused(
        "-o", "a.csv", "--step", "tell"
    )
    assert "has no Predict step 'othr': did you mean 'other'?" in refused("-o", "a.csv", "--step", "othr")
    assert "Step new of items has no predictions yet: start a run with `batchord run items`." in refused(
        "-o", "a.csv", "--step", "new"
    )
    assert len(rows("--step", STEP)) == 8
    assert rows("--step", "new", "--since", "2026-01-01") == []
    assert not Path("a.csv").exists()


def test_predictions_outlive_the_file_of_their_pipeline(bench: Bench) -> None:
    """A pipeline that nobody knows is refused."""
    bench.catalog.pipelines.clear()
    assert len(rows()) == 8
    bench.sql("DELETE FROM batchord.runs")
    assert len(rows()) == 8  # the frontier knows its step

    unknown = CliRunner().invoke(export, ["itms", "-o", "a.csv"])
    assert "There is no pipeline 'itms'" in str(unknown.exception)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Name the file: batchord export items -o items.csv"),
        (["-o", "a.xlsx"], "ends in .xlsx, which is no format: let it end in one of .parquet, .csv, .jsonl"),
        (["-o", "a"], "has no ending"),
        (["-o", "-"], "-o - needs --format csv or --format jsonl"),
        (["-o", "-", "--format", "parquet"], "-o - needs --format csv or --format jsonl"),
        (["-o", "-", "--format", "csv", "--json"], "give one of them"),
        (["-o", "no/a.csv"], "There is no folder no"),
        (["-o", "home"], "home is a folder"),
        (["-o", "a.csv", "--columns", "key"], "There is no column 'key'"),
        (["-o", "a.csv", "--since", "yesterday"], "cannot be read as a time"),
        (["-o", "a.parquet"], "pyarrow is not installed here: pip install 'batchord[parquet]'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_is_explained(bench: Bench, arguments: list[str], told: str) -> None:
    """Before anything is written."""
    bench.parts().settings.home.mkdir(exist_ok=True)

    assert told in refused(*arguments)


def test_an_older_file_stays_unless_it_is_to_be_replaced(bench: Bench) -> None:  # noqa: ARG001 -- as above
    """The same words as everywhere."""
    Path("items.csv").write_text("old")

    assert "items.csv exists: give --force" in refused("-o", "items.csv")
    assert Path("items.csv").read_text() == "old"
    assert called("-o", "items.csv", "--force").exit_code == 0
    assert Path("items.csv").read_text().startswith("record_key,")


def test_a_run_goes_on_while_a_file_is_written(bench: Bench) -> None:
    """The file has the rows of its beginning; the run's plan waits for nothing, and its frontier moves."""
    with bench.ledger.exports.reading(Wanted(pipeline=ITEMS, step=STEP)) as predictions:
        bench.insert(4)
        run = bench.run()
        assert (run.state, run.predicted) == (RunState.SUCCEEDED, 4)
        bench.run()  # a frontier moves when the next run has seen that no older transaction is left
        assert bench.value("SELECT (position ->> 1)::int FROM batchord.frontiers") == len(LABELS) + 4
        seen = list(predictions.each(predictions.columns(["label"])))

    assert predictions.rows == len(LABELS)
    assert [label for (label,) in seen] == LABELS
    assert len(rows()) == len(LABELS) + 4
    bench.assert_exactly_once()

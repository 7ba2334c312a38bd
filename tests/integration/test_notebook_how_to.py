"""The notebook and the pipeline of the how-to run as written, and come to the same numbers."""

import difflib
import subprocess
from pathlib import Path

import psycopg
import pytest

from batchord.models.skops_import import import_skops
from tests.reader import Reader, code_block

PAGE = "docs/how-to/notebook-to-pipeline.md"
#: What tells the notebook's block and the pipeline's of each example from all others.
PAIRS = [
    pytest.param('to_sql("progression"', "SklearnModel(", id="progression"),
    pytest.param('to_sql("triage"', "FunctionModel(", id="triage"),
]


@pytest.fixture
def reader(tmp_path: Path, database_url: str, settings_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Reader:
    """A reader with the page's table, its fitted model, and rows of their own."""
    from sklearn.datasets import load_diabetes

    import_skops()  # the page's own import would bring torch into this process
    environment = {name: value for name, value in settings_env.items() if name != "BATCHORD_DATABASE_URL"}
    reader = Reader(tmp_path, database_url, environment | {"DATABASE_URL": database_url})
    (tmp_path / "pipelines").mkdir()
    monkeypatch.chdir(tmp_path)
    exec(compile(code_block(PAGE, "skops.io.dump", "python"), "fit", "exec"), {})  # noqa: S102 -- our own page
    reader.sql(code_block(PAGE, "CREATE TABLE patients", "sql"))
    patients = load_diabetes(as_frame=True, scaled=False).frame[["age", "bmi", "bp", "s5"]].head(300)
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO patients (age, bmi, bp, s5) VALUES (%s, %s, %s, %s)", patients.values.tolist())
    return reader


def _save(reader: Reader, notebook: str, pipeline: str) -> None:
    (reader.folder / "notebook.py").write_text(code_block(PAGE, notebook, "python"))
    (reader.folder / "pipelines" / "progression.py").write_text(code_block(PAGE, pipeline, "python"))


def _run(reader: Reader, pipeline: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = f'BATCHORD_DATABASE_URL="$DATABASE_URL" batchord run {pipeline} --local'
    return reader.shell(command, check=check)


@pytest.mark.parametrize(("notebook", "pipeline"), PAIRS)
def test_at_most_five_lines_are_added(notebook: str, pipeline: str) -> None:
    """By a line-by-line difference, in which a line that changed counts as added; and it is the page's number."""
    before, after = (code_block(PAGE, part, "python").splitlines() for part in (notebook, pipeline))

    added = [line for line in difflib.ndiff(before, after) if line.startswith("+ ") and line[2:].strip()]

    assert len(added) == 4
    assert all(len(line) <= 122 for line in added)


def test_the_pipeline_predicts_what_the_notebook_did_and_goes_on_where_it_stops(reader: Reader) -> None:
    """The same numbers, under the notebook's own name where the page's view is made.

    A later run takes the new rows only. Among them is a patient without a bmi: the notebook raises, the pipeline
    predicts the other and says why.
    """
    _save(reader, 'to_sql("progression"', "SklearnModel(")
    reader.shell("python notebook.py")
    by_notebook = dict(reader.sql("SELECT id, prediction FROM progression"))

    reader.shell(code_block(PAGE, "batchord migrate", "bash"))
    reader.sql(code_block(PAGE, "CREATE VIEW progression", "sql"))

    assert len(by_notebook) == 303
    assert dict(reader.sql("SELECT id, prediction FROM progression")) == pytest.approx(by_notebook, rel=1e-9)

    before = reader.sql("SELECT record_key, predicted_at FROM batchord.predictions")
    reader.sql("INSERT INTO patients (age, bmi, bp, s5) VALUES (40, NULL, 90, 4), (50, 26, 95, 5)")
    reader.sql("DROP VIEW progression")
    stopped = reader.shell("python notebook.py", check=False)
    said = _run(reader, "progression").stdout

    assert "contains NaN" in stopped.stderr
    assert "discovered 2 = predicted 1 + rejected 1" in said
    assert reader.sql("SELECT record_key, reason FROM batchord.rejections") == [("304", "model-error")]
    after = reader.sql("SELECT record_key, predicted_at FROM batchord.predictions")
    assert set(before) < set(after)
    assert {key for key, _ in set(after) - set(before)} == {"305"}


def test_a_batch_of_nothing_but_such_rows_fails(reader: Reader) -> None:
    """As the page warns: the run fails until another row comes with them, and then each is rejected alone."""
    _save(reader, 'to_sql("progression"', "SklearnModel(")
    reader.sql("DELETE FROM patients; INSERT INTO patients (age, bp, s5) VALUES (40, 90, 4), (50, 95, 5)")
    alone = _run(reader, "progression", check=False)
    reader.sql("INSERT INTO patients (age, bmi, bp, s5) VALUES (40, 25, 90, 4)")

    together = _run(reader, "progression")

    assert (alone.returncode, reader.sql("SELECT event FROM batchord.alerts")[0][0][:11]) == (1, "run-failed:")
    assert "discovered 3 = predicted 1 + rejected 2" in together.stdout


def test_the_notebooks_function_is_the_model(reader: Reader) -> None:
    """Labels and numbers are those that the notebook wrote."""
    _save(reader, 'to_sql("triage"', "FunctionModel(")
    reader.shell("python notebook.py")

    _run(reader, "triage")

    by_notebook = {
        key: (label, number) for key, label, number in reader.sql("SELECT id, label, prediction FROM triage")
    }
    by_pipeline = {
        key: (label, number)
        for key, label, number in reader.sql(
            "SELECT record_key::bigint, label, (output ->> 'prediction')::float8 FROM batchord.predictions "
            "WHERE pipeline = 'triage' AND model_version = 'triage@1'"
        )
    }
    assert {label for label, _ in by_notebook.values()} == {"low", "middle", "high"}
    assert {key: label for key, (label, _) in by_pipeline.items()} == {
        key: label for key, (label, _) in by_notebook.items()
    }
    assert {key: number for key, (_, number) in by_pipeline.items()} == pytest.approx(
        {key: number for key, (_, number) in by_notebook.items()}, rel=1e-9
    )

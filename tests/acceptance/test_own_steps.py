"""A kind of step that an author adds, in a file of their own, works as Batchord's do."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cluster import Cluster
from tests.reader import code_block
from tests.waiting import wait_until

_PAGE = "docs/how-to/own-kind.md"
_KIND = code_block(_PAGE, "class Export", "python")
#: The folder that the page names.
_FOLDER = "/tmp/exports"  # noqa: S108 -- replaced by each test
_PIPELINE = code_block(_PAGE, "exported = Pipeline(", "python")


@pytest.fixture
def exported(notes: Cluster) -> Path:
    """The page's kind and pipeline, and two notes; the folder of the exports, which is not there yet."""
    folder = notes.folder / "exports"
    notes.pipeline("exports", _KIND)
    notes.pipeline("exported", _PIPELINE.replace(_FOLDER, str(folder)).replace("seconds=1", "seconds=0.1"))
    for body in ("one", "three"):
        notes.sql("INSERT INTO notes (body) VALUES (%s)", body)
    return folder


def _lines(notes: Cluster, run_id: str) -> set[tuple[Any, ...]]:
    """Of each line of the run's log: its step, where it comes from, and what it says."""
    logs = notes.batchord("logs", run_id, "--json").stdout.splitlines()
    return {(line["step"], line["source"], line["message"]) for line in map(json.loads, logs)}


def test_a_step_of_an_authors_own_kind(notes: Cluster, exported: Path) -> None:
    """It is tried again until it can work, reads the step before, is read by the step behind, and has a log."""
    notes.start("control", "worker")
    run_id = json.loads(notes.batchord("run", "exported", "--json").stdout)["id"]
    retried = "SELECT count(*) FROM batchord.attempts WHERE step = 'export' AND state = 'retried'"
    wait_until(lambda: notes.sql(retried)[0][0], description="the step fails for want of its folder")

    exported.mkdir()

    state = "SELECT state FROM batchord.runs WHERE id = %s"
    wait_until(lambda: notes.sql(state, run_id) == [("succeeded",)], description="the run succeeds")
    file = exported / f"{run_id}.csv"
    assert file.read_text() == "1,3.0\n2,5.0\n"
    kept = "SELECT kind, output FROM batchord.steps WHERE name = 'export'"
    assert notes.sql(kept) == [("export", {"value": {"file": str(file), "rows": 2}})]
    lines = _lines(notes, run_id)
    assert ("export", "exports", f"{file} holds 2 predictions") in lines
    assert ("announce", "stdout", f"2 rows are in {file}") in lines
    errors = notes.sql("SELECT DISTINCT error FROM batchord.attempts WHERE step = 'export' AND state = 'retried'")
    assert errors == [(f"{exported} is no folder on this worker: create it",)]


def test_a_step_of_an_authors_own_kind_fails(notes: Cluster, exported: Path) -> None:
    """With the kind's own words and without a traceback; what it raises by mistake has one, from its own line on."""
    notes.pipeline("once", _PIPELINE.replace(_FOLDER, str(exported)).replace("Retry(50", "Retry(0"))
    (notes.pipelines / "exported.py").unlink()

    missing = _failed(notes)
    exported.mkdir()
    notes.pipeline("exports", _KIND.replace("context.run.id}.csv", "context.run.ident}.csv"))
    mistaken = _failed(notes)

    assert missing == (f"{exported} is no folder on this worker: create it", False)
    assert mistaken[0].startswith("AttributeError: 'RunContext' object has no attribute 'ident'")
    assert mistaken[1]


def test_a_step_of_an_authors_own_kind_has_its_options_checked(notes: Cluster, exported: Path) -> None:
    """Before anything runs, beside those of every step."""
    wrong = _PIPELINE.replace(_FOLDER, "exports").replace('after="score", retry', 'join="any", retry')
    notes.pipeline("exported", wrong)

    refused = notes.batchord("run", "exported", "--local", check=False)

    assert refused.returncode == 1
    said = " ".join((refused.stdout + refused.stderr).split())
    assert "step 'export': folder='exports': give an absolute path" in said
    assert "step 'export': join='any' is unknown" in said
    assert not exported.exists()


def _failed(notes: Cluster) -> tuple[str, bool]:
    """The error of the run's export, and whether its log has a traceback that begins in the author's file."""
    ended = notes.batchord("run", "exported", "--local", "--json", check=False)
    assert ended.returncode == 1, ended.stderr
    run = json.loads(ended.stdout)
    ((error,),) = notes.sql("SELECT error FROM batchord.steps WHERE name = 'export' AND run_id = %s", run["id"])
    (said,) = [line for step, _, line in _lines(notes, run["id"]) if step == "export" and error[:20] in line]
    traceback = "Traceback (most recent call last):\n"
    return error, f'{traceback}  File "{notes.pipelines / "exports.py"}"' in said

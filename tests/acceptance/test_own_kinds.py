"""A kind of model or source that an author adds, in a file of their own, works as Batchord's do."""

import json

import pytest

from tests.acceptance.cluster import Cluster
from tests.reader import code_block
from tests.waiting import wait_until

_KINDS = code_block("docs/how-to/own-kind.md", "class Keywords", "python")
_PIPELINE = """
    from batchord import Pipeline, SqlSource
    from kinds import Keywords

    keywords = Pipeline(
        "keywords",
        source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
        model=Keywords({location!r}, text="body"{more}),
    )
"""
_FILES = code_block("docs/how-to/own-kind.md", "class JsonLines", "python")
_OF_FILES = """
    from datetime import timedelta

    from batchord import Pipeline, every
    from files import JsonLines

    def length(frame):
        return frame["body"].str.len()

    lines = Pipeline("lines", schedule=every(seconds=1), source=JsonLines({folder!r}{more}), model=length)
"""


def _insert(notes: Cluster, *bodies: str | None) -> None:
    for body in bodies:
        notes.sql("INSERT INTO notes (body) VALUES (%s)", body)


def _run(notes: Cluster) -> str:
    """The version that the run predicted with."""
    run = json.loads(notes.batchord("run", "keywords", "--wait", "--json").stdout)
    assert run["state"] == "succeeded", run["error"]
    ((version,),) = notes.sql("SELECT models ->> 'predict' FROM batchord.runs WHERE id = %s", run["id"])
    return str(version)


def test_a_model_of_an_authors_own_kind(notes: Cluster) -> None:
    """It has files, a version, shards on its queue and rejections; its options and its code are part of the version."""
    words = notes.folder / "model" / "good.words"
    words.parent.mkdir()
    words.write_text("good fine")
    location = str(words.parent)
    notes.pipeline("kinds", _KINDS)
    notes.pipeline("keywords", _PIPELINE.format(location=location, more=""))
    notes.start("control", "worker")
    _insert(notes, "a good day", "good and fine", "grey", None)

    first = _run(notes)

    predicted = "SELECT record_key, score FROM batchord.predictions WHERE pipeline = 'keywords' ORDER BY record_key"
    assert notes.sql(predicted) == [("1", 1.0), ("2", 2.0), ("3", 0.0)]
    assert notes.sql("SELECT record_key, reason FROM batchord.rejections") == [("4", "missing-text")]
    assert "model@" in first

    words.write_text("good fine grey")
    _insert(notes, "grey")
    of_other_files = _run(notes)
    notes.pipeline("keywords", _PIPELINE.format(location=location, more=", weight=2.0"))
    _insert(notes, "grey")
    of_another_option = _run(notes)
    notes.pipeline("kinds", _KINDS.replace("weight * count", "weight * 10 * count"))
    _insert(notes, "grey")
    of_other_code = _run(notes)

    assert notes.sql(predicted)[3:] == [("5", 1.0), ("6", 2.0), ("7", 20.0)]
    assert len({first, of_other_files, of_another_option, of_other_code}) == 4


def test_files_of_another_kind_are_refused(notes: Cluster) -> None:
    """The error names the files that such a model needs, and the files that exist."""
    folder = notes.folder / "model"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(b"")
    notes.pipeline("kinds", _KINDS)
    notes.pipeline("keywords", _PIPELINE.format(location=str(folder), more=""))
    _insert(notes, "a")

    refused = notes.batchord("run", "keywords", "--local", check=False)

    assert refused.returncode == 1
    said = " ".join((refused.stdout + refused.stderr).split())
    assert "a .words file" in said
    assert "pickled" in said


def _account(notes: Cluster) -> dict[str, float | str]:
    """What the ledger says of each line: its score, or why it was rejected."""
    return dict(
        notes.sql(
            "SELECT record_key, to_jsonb(score) FROM batchord.predictions WHERE pipeline = 'lines' "
            "UNION ALL SELECT record_key, to_jsonb(reason) FROM batchord.rejections WHERE pipeline = 'lines'"
        )
    )


def _worked(notes: Cluster) -> list[tuple[int, ...]]:
    """Of each run that found any records, oldest first: those discovered, predicted and rejected."""
    return notes.sql(
        "SELECT discovered, predicted, rejected FROM batchord.runs "
        "WHERE pipeline = 'lines' AND state NOT IN ('queued', 'running') AND discovered > 0 ORDER BY created_at"
    )


@pytest.mark.parametrize("more", ["", ", settle=timedelta(0)"], ids=["by its keys", "with a frontier"])
def test_a_source_of_an_authors_own_kind(notes: Cluster, more: str) -> None:
    """Ticks find what arrived, each run exactly that; the audit compares every line with the ledger."""
    folder = notes.folder / "lines"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"body": "a"}\n{"body": \n{"body": "ccc"}\n{"body": "being writ')
    notes.pipeline("files", _FILES)
    notes.pipeline("lines", _OF_FILES.format(folder=str(folder), more=more))
    notes.start("control", "worker", "beat")
    first = {"a.jsonl:000001": 1, "a.jsonl:000002": "unreadable-value", "a.jsonl:000003": 3}
    wait_until(lambda: _worked(notes) == [(3, 2, 1)], description="a run takes the lines that are there")
    assert _account(notes) == first

    (notes.folder / "b.jsonl").write_text('{"body": "four"}\n{"body": "fives"}\n')
    (notes.folder / "b.jsonl").rename(folder / "b.jsonl")
    wait_until(lambda: len(_worked(notes)) > 1, description="a run takes the new lines")

    assert _worked(notes) == [(3, 2, 1), (2, 2, 0)]
    assert _account(notes) == {**first, "b.jsonl:000001": 4, "b.jsonl:000002": 5}
    audited = json.loads(notes.batchord("audit", "lines", "--json").stdout)["lines"]
    assert audited == {
        "records": 5, "predicted": 4, "rejected": 1, "pending": 0, "missing": 0, "duplicated": 0, "not_audited": {}
    }  # fmt: skip
    if more:
        frontiers = "SELECT position FROM batchord.frontiers WHERE pipeline = 'lines'"
        wait_until(lambda: notes.sql(frontiers) == [([None, "b.jsonl:000002"],)], description="the frontier follows")


def test_a_broken_option_of_a_source_is_named(notes: Cluster) -> None:
    """By the kind's own words; the base's problems are told with it."""
    notes.pipeline("files", _FILES)
    notes.pipeline("lines", _OF_FILES.format(folder="lines", more=", settle=60"))

    refused = notes.batchord("run", "lines", "--local", check=False)

    assert refused.returncode == 1
    said = " ".join((refused.stdout + refused.stderr).split())
    assert "folder='lines': give an absolute path" in said
    assert "settle=60: give a timedelta, or None" in said


def test_a_folder_that_is_away_is_waited_for(notes: Cluster) -> None:
    """The run fails once its attempts are over, and says which folder it is; the audit could not look."""
    notes.pipeline("files", _FILES)
    notes.pipeline("lines", _OF_FILES.format(folder=str(notes.folder / "gone"), more=""))

    run = json.loads(notes.batchord("run", "lines", "--local", "--json", check=False).stdout)
    audited = notes.batchord("audit", "lines", "--json", check=False)

    assert run["state"] == "failed"
    assert "The source cannot be read now" in run["error"]
    assert str(notes.folder / "gone") in run["error"]
    assert audited.returncode == 1
    assert "The source cannot be read now" in json.loads(audited.stdout)["lines"]["not_audited"]["predict"]

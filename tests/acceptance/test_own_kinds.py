"""A kind of model that an author adds, in a file of their own, works as Batchord's do."""

import json

from tests.acceptance.cluster import Cluster
from tests.reader import code_block

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
    """The error says what such a model needs, and what is there."""
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

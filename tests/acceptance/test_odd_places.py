"""Odd records, odd sources and odd places, by the command line and without workers."""

import json
import sqlite3
from pathlib import Path

from tests.acceptance.cluster import Cluster


def test_a_json_column_with_a_lone_surrogate(notes: Cluster) -> None:
    r"""PostgreSQL's json holds "\ud800" as written; the driver makes a lone surrogate of it."""
    notes.sql("CREATE TABLE documents (id int PRIMARY KEY, body json)")
    notes.sql("INSERT INTO documents VALUES (1, '\"fine\"'), (2, '\"\\ud800\"'), (3, '\"also\"')")
    source = (notes.pipelines / "notes.py").read_text()
    source = source.replace("SELECT id, body, created_at FROM notes", "SELECT id, body FROM documents")
    notes.pipeline("notes", source.replace(', arrival="created_at"', ""))
    ended = notes.batchord("run", "notes", "--local", "--json", check=False)
    assert "Traceback" not in ended.stderr, ended.stderr[-300:]
    assert json.loads(ended.stdout)["discovered"] == 3
    assert notes.sql("SELECT count(*) FROM batchord.predictions") >= [(2,)]
    assert notes.sql("SELECT count(*) FROM batchord.runs WHERE state = 'running'") == [(0,)]


def test_a_text_that_is_no_utf8_costs_itself_alone(notes: Cluster, tmp_path: Path) -> None:
    """SQLite stores any bytes as text; one such record must not fail the others of its shard, run after run."""
    file = tmp_path / "records.sqlite"
    with sqlite3.connect(file) as records:
        records.execute("CREATE TABLE texts (id INTEGER PRIMARY KEY, body TEXT)")
        records.execute("INSERT INTO texts (body) VALUES ('good'), (CAST(x'eda080' AS TEXT)), ('fine')")
    records.close()
    notes.pipeline(
        "notes",
        f"""
        from datetime import timedelta
        from batchord import Pipeline, SqlSource

        def length(frame):
            return frame["body"].str.len()

        notes = Pipeline(
            "notes",
            source=SqlSource("SELECT id, body FROM texts", key="id", settle=timedelta(0), url="sqlite:///{file}"),
            model=length,
        )
        """,  # noqa: S608 -- the file's name is the test's
    )
    ended = json.loads(notes.batchord("run", "notes", "--local", "--json", check=False).stdout)
    assert ended["predicted"] >= 2
    assert ended["state"] == "succeeded"


def test_a_source_of_keys_alone_is_predicted(notes: Cluster) -> None:
    """The frame has rows and no columns, which pandas calls empty; the model must be asked all the same."""
    notes.insert_notes(3)
    notes.pipeline(
        "notes",
        """
        import pandas as pd
        from batchord import Pipeline, SqlSource

        def double(frame):
            return pd.Series([key * 2 for key in frame.index], index=frame.index)

        notes = Pipeline("notes", source=SqlSource("SELECT id FROM notes", key="id"), model=double)
        """,
    )
    ended = json.loads(notes.batchord("run", "notes", "--local", "--json").stdout)
    assert (ended["predicted"], ended["rejected"]) == (3, 0)


def test_an_unmigrated_ledger_is_reported_in_one_line(notes: Cluster) -> None:
    """The three lines of PostgreSQL's own error are not part of it."""
    notes.sql("DROP SCHEMA batchord CASCADE")
    ended = notes.batchord("runs", check=False)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1, ended.stderr


def test_retries_of_a_local_run_are_shown_to_people(notes: Cluster) -> None:
    """The lines show the error and the pause, without a traceback."""
    source = (notes.pipelines / "notes.py").read_text()
    notes.insert_notes(1)
    failing = (
        "from batchord.core.errors import TransientError\ndef length(frame):\n    raise TransientError('away')\n    #"
    )
    notes.pipeline("notes", source.replace("def length(frame):", failing))
    ended = notes.batchord("run", "notes", "--local", check=False)
    assert "functools.partial" not in ended.stderr
    assert "Settings(" not in ended.stderr


def test_status_is_well_with_configured_servers(notes: Cluster) -> None:
    """Servers that are configured elsewhere are not started here, and status does not report them as missing."""
    try:
        assert notes.batchord("up").returncode == 0
        status = notes.batchord("status", "--json", check=False)
        assert status.returncode == 0, status.stdout
    finally:
        notes.batchord("down")

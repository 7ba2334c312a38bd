"""Keys of a model's output have columns with a type, written by real workers, one of which is killed."""

import json

import psycopg

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_PIPELINE = """
    import time
    import pandas as pd
    from batchord import Pipeline, Predict, SqlSource

    def describe(frame):
        time.sleep({seconds})
        lengths = frame["body"].str.len()
        return pd.DataFrame({{
            "label": frame["body"],
            "embedding": [[each / 4, None if each > 3 else 1.5] for each in lengths],
            "items": [[{{"n": int(each)}}] for each in lengths],
            "size": [int(each) * 1000 for each in lengths],
            "note": frame["body"].str.upper(),
        }}, index=frame.index)

    described = Pipeline("described", steps=[Predict(
        "describe",
        source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
        model=describe,
        batch_rows=2,
        shard_rows=4,
        outputs={outputs},
    )])
"""
_FIRST = {"embedding": "real[]", "size": "smallint"}


def _run(notes: Cluster) -> None:
    run = json.loads(notes.batchord("run", "described", "--wait", "--json").stdout)
    assert run["state"] == "succeeded", run["error"]


def test_columns_for_keys_of_the_output(notes: Cluster) -> None:
    """Each record once, though a worker dies; a value that does not fit costs its own; a later column is added."""
    notes.pipeline("described", _PIPELINE.format(outputs=_FIRST, seconds=0.2))
    notes.start("control", "worker", "beat")
    notes.sql("INSERT INTO notes (body) SELECT repeat('x', 1 + n % 5) FROM generate_series(0, 38) AS n")
    notes.sql("INSERT INTO notes (body) VALUES (repeat('y', 33))")
    notes.batchord("run", "described")
    table = "batchord_results.described__describe"

    def some_written() -> bool:
        try:
            ((rows,),) = notes.sql(f"SELECT count(*) FROM {table}")  # noqa: S608 -- a constant
        except psycopg.errors.UndefinedTable:
            return False
        return 0 < rows < 39

    wait_until(some_written, description="a batch in the table")
    notes.kill("worker")  # its supervisor starts another one
    ended = "SELECT state, error FROM batchord.runs WHERE finished_at IS NOT NULL"
    run = wait_until(lambda: notes.sql(ended), timeout=60, description="the end of the run")
    assert run == [("succeeded", None)]

    rows = notes.sql(f"SELECT label, embedding, size, output ? 'note' FROM {table} ORDER BY length(label) DESC, id")  # noqa: S608
    assert len(rows) == 39
    assert rows[0] == ("xxxxx", [1.25, None], 5000, True)
    assert rows[-1] == ("x", [0.25, 1.5], 1000, True)
    assert notes.sql("SELECT record_key, reason FROM batchord.rejections") == [("40", "unfitting-output")]

    notes.pipeline("described", _PIPELINE.format(outputs={**_FIRST, "items": "jsonb"}, seconds=0))
    notes.sql("INSERT INTO notes (body) VALUES ('new')")
    _run(notes)
    added = notes.sql(f"SELECT items FROM {table} WHERE items IS NOT NULL")  # noqa: S608 -- a constant
    assert added == [([{"n": 3}],)]
    whole = (
        "SELECT count(*) FROM batchord.current_predictions WHERE output ?& ARRAY['embedding', 'size', 'items', 'note']"
    )
    assert notes.sql(whole) == [(40,)]
    audited = json.loads(notes.batchord("audit", "described", "--json").stdout)["described"]
    assert (audited["predicted"], audited["rejected"], audited["duplicated"]) == (40, 1, 0)

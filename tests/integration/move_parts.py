"""What the tests of the move have in common: predictions of earlier releases, and how far their move is."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.flow_parts import ITEMS, STEP, Bench

_ALL = """
    SELECT pipeline, step, record_key, model_version, label, score, output::text, run_id, shard, attempt, input_digest,
           predicted_at
    FROM batchord.{} ORDER BY pipeline, step, record_key, model_version
"""
_INSERT = """
    INSERT INTO batchord.earlier_predictions (pipeline, step, record_key, model_version, label, score, output, run_id,
                                              shard, attempt, input_digest, predicted_at)
"""
_RUN = "01970000-0000-7000-8000-00000000000"


def shown(bench: Bench, view: str = "predictions") -> list[tuple[Any, ...]]:
    """All that a view shows."""
    return bench.sql(_ALL.format(view))


def fill(bench: Bench, count: int, *, pipeline: str = ITEMS, step: str = STEP) -> None:
    """Predictions of an earlier release for keys from 1, by shards of ten, with outputs for each third."""
    bench.sql(
        f"{_INSERT} SELECT %s, %s, n::text, 'v1', 'l' || n %% 3, n / 8.0, "  # noqa: S608 -- constants of this test
        f"CASE WHEN n %% 3 = 0 THEN jsonb_build_object('n', n) END, '{_RUN}1', n / 10, 1 + n %% 2, n, "
        "timestamptz '2024-01-01 00:00+00' + n * interval '1 second' FROM generate_series(1, %s) AS n",
        pipeline,
        step,
        count,
    )
    bench.sql("UPDATE batchord.results SET has_earlier = true WHERE pipeline = %s AND step = %s", pipeline, step)


def few(bench: Bench, *keys: str) -> None:
    """Predictions of an earlier release for these keys."""
    select = f"SELECT %s, %s, key, 'v1', '{_RUN}1'::uuid, 0, 1 FROM unnest(%s::text[]) AS key"  # noqa: S608 -- constants
    bench.insert_earlier(select, ITEMS, STEP, list(keys))


def version(bench: Bench, key: str, name: str, second: int, *, pipeline: str = ITEMS) -> None:
    """One more version of a record, predicted in that second of 2025."""
    bench.sql(
        f"{_INSERT} VALUES (%s, %s, %s, %s, 'by ' || %s, 1, NULL, '{_RUN}2', 0, 1, 0, %s)",
        *(pipeline, STEP, key, name, name, datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=second)),
    )


def make(bench: Bench, key_type: str, *, pipeline: str = ITEMS, step: str = STEP) -> None:
    """The step's table, as its plan makes it."""
    bench.sql("SELECT batchord.make_results(%s, %s, 'k', %s)", pipeline, step, key_type)


def state(bench: Bench) -> list[tuple[Any, ...]]:
    """How far each step is."""
    return bench.sql("SELECT pipeline, has_earlier, moving_from, moved, kept FROM batchord.results ORDER BY 1, 2")


def as_of_before(bench: Bench) -> None:
    """What was predicted stands where an earlier release would have written it."""
    bench.sql(f"{_INSERT} SELECT pipeline, step, record_key, model_version, label, score, output, run_id, shard, "  # noqa: S608
              "attempt, input_digest, predicted_at FROM batchord.predictions")  # fmt: skip
    bench.sql(f"DELETE FROM {bench.table()}")  # noqa: S608 -- a name of the ledger's
    bench.sql("DELETE FROM batchord.writers")
    bench.sql("UPDATE batchord.results SET has_earlier = true")

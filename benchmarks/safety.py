"""Measures the cost of safety: leases, a commit for each batch, fault points. One process, one model, the same records.

``python benchmarks/safety.py`` starts a PostgreSQL of its own. In each repetition, the variants predict all records
again, one after the other. The table shows medians, and the ratio to Batchord as it is.
"""

import os
import statistics
import tempfile
import timeit
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import psycopg

from app.localstack import Server, start_servers, stop_servers, superuser_url
from batchord.core.process.fault_points import fault
from batchord.core.run.leases import ShardLease, ShardOutcome
from batchord.core.run.predictions import Batch, Predictions
from batchord.flow.local import run_local
from batchord.flow.parts import Parts
from batchord.ledger.roles.preparing import prepare_database

RECORDS = 100_000
REPETITIONS = 5
#: A linear model over hashed words. It is about as cheap per record as a real model can be.
_PIPELINE = """
import numpy as np
import pandas as pd
from batchord import Pipeline, Predict, SqlSource
from sklearn.feature_extraction.text import HashingVectorizer

words = HashingVectorizer(n_features=2**16)
weights = np.random.default_rng(7).normal(size=2**16)

def score(frame):
    return pd.Series((words.transform(frame["body"]) @ weights > 0).astype(int), index=frame.index)

texts = Pipeline("texts", steps=[Predict(
    "predict",
    source=SqlSource("SELECT id, body, created_at FROM texts", key="id", arrival="created_at"),
    model=score,
)])
"""
_TABLE = """
    CREATE TABLE texts (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, created_at timestamptz DEFAULT now())
"""
_FILL = """
    INSERT INTO texts (body) SELECT string_agg(md5((n * w)::text), ' ')
    FROM generate_series(1, %s) AS n, generate_series(1, 11) AS w GROUP BY n
"""


class _CommitOnce:
    """Writes the predictions of a shard in a single transaction at its end: a crash costs the whole shard."""

    def __init__(self, shards: Any) -> None:
        self._shards = shards
        self._kept: list[Batch] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shards, name)

    def commit(self, lease: ShardLease, batch: Batch) -> int:  # noqa: ARG002 -- written in finish()
        self._kept.append(batch)
        return len(batch.predictions.keys) + len(batch.rejections)

    def finish(self, lease: ShardLease, outcome: ShardOutcome) -> None:
        columns = ("keys", "labels", "scores", "outputs", "digests")
        every = {
            name: [value for batch in self._kept for value in getattr(batch.predictions, name)] for name in columns
        }
        rejections = [rejection for batch in self._kept for rejection in batch.rejections]
        self._kept = []
        self._shards.commit(lease, Batch(predictions=Predictions(**every), rejections=rejections))
        self._shards.finish(lease, outcome)


class _Ledger:
    """A ledger whose shards are replaced."""

    def __init__(self, ledger: Any, shards: Any) -> None:
        self._ledger = ledger
        self.shards = shards

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


@contextmanager
def _no_heartbeat() -> Any:
    class Nothing:
        def __init__(self, *_: object, **__: object) -> None:
            self.lost = _Never()

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            """Does nothing."""

        def stop(self) -> None:
            """Nothing to end."""

        def at_loss(self, _: object) -> None:
            """The lease is not lost."""

    class _Never:
        def is_set(self) -> bool:
            return False

    with patch("batchord.flow.attempt.attempt.Heartbeat", Nothing):
        yield


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory(prefix="batchord-bench-") as folder:
        home = Path(folder)
        try:
            _measure(home)
        finally:
            stop_servers(home)


def _measure(home: Path) -> None:
    servers = start_servers(home, needs=[Server.POSTGRES])
    database_url = superuser_url(home)
    (home / "pipelines").mkdir()
    (home / "pipelines" / "texts.py").write_text(_PIPELINE, encoding="utf-8")
    os.environ |= {
        **servers.environment(),
        "BATCHORD_HOME": str(home),
        "BATCHORD_PIPELINES": str(home / "pipelines"),
        "OMP_NUM_THREADS": "1",
    }
    prepare_database(servers.database_roles())
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_TABLE)
        connection.execute(_FILL, [RECORDS])
        connection.execute("ANALYZE texts")
    from batchord.wiring import parts

    as_is = parts()
    once = replace(as_is, ledger=_Ledger(as_is.ledger, _CommitOnce(as_is.ledger.shards)))
    eager = replace(as_is, settings=as_is.settings.model_copy(update={"lease_seconds": 3.0}))
    variants: dict[str, Callable[[], float]] = {
        "as it is (lease 60 s, renewed every 20 s)": lambda: _seconds(as_is, database_url),
        "lease of 3 s, renewed every second": lambda: _seconds(eager, database_url),
        "without renewing leases": lambda: _without_heartbeat(as_is, database_url),
        "one commit for each shard": lambda: _seconds(once, database_url),
    }
    _seconds(as_is, database_url)  # warms up: imports, caches, the pool's connections
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(REPETITIONS):
        for name, run in variants.items():
            taken[name].append(run())
    _print(taken)
    calls = 1_000_000
    per_call = timeit.timeit(lambda: fault("before-batch-commit"), number=calls) / calls
    passes = RECORDS / 1000 * 3 + RECORDS / 20_000 * 3
    total = per_call * passes * 1e6
    print(f"A fault point that is off: {per_call * 1e9:.0f} ns; {passes:.0f} passes in such a run: {total:.0f} µs")


def _without_heartbeat(parts: Parts, database_url: str) -> float:
    with _no_heartbeat():
        return _seconds(parts, database_url)


def _seconds(parts: Parts, database_url: str) -> float:
    """The seconds from the first claim to the last shard's end, without planning and finishing."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE batchord.runs, batchord.writers, batchord.frontiers CASCADE")
        if connection.execute("SELECT to_regclass('batchord_results.texts__predict') IS NOT NULL").fetchone() == (
            True,
        ):
            connection.execute("TRUNCATE batchord_results.texts__predict")
        connection.execute("CHECKPOINT")
        run = run_local(parts, pipeline="texts")
        if run.predicted != RECORDS:
            raise RuntimeError(f"{run.predicted} of {RECORDS} records were predicted: {run.error}")
        ((seconds,),) = connection.execute(
            "SELECT extract(epoch FROM max(finished_at) - min(started_at))::float8 FROM batchord.shards"
        ).fetchall()
        return float(seconds)


def _print(taken: dict[str, Sequence[float]]) -> None:
    base = statistics.median(taken["as it is (lease 60 s, renewed every 20 s)"])
    print(f"{RECORDS:,} records, {REPETITIONS} repetitions, {os.cpu_count()} cores, one process")
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        print(f"{name:45} {median:6.2f} s  {RECORDS / median:8,.0f} records/s  {median / base:5.3f} of the time")


if __name__ == "__main__":
    main()

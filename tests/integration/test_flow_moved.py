"""A record that moves into a shard after it was planned: whatever became of it before, it has one outcome."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchord import FunctionModel
from batchord.core.run.runs import RunState
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import Bench

if TYPE_CHECKING:
    import pandas as pd

_BY_ARRIVAL = SqlSource("SELECT id, body, created_at FROM records", key="id", arrival="created_at")


def _length(frame: "pd.DataFrame") -> "pd.Series[Any]":
    return frame["body"].str.len()


def _model(version: str) -> FunctionModel:
    return FunctionModel(_length, version=version, text="body")


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Record 1 has no text and was rejected, record 2 was predicted; the frontier stands above both."""
    with Bench(database_url, tmp_path) as bench:
        bench.declare(_model("1"), source=_BY_ARRIVAL)
        bench.sql(
            "INSERT INTO records (id, body, created_at) "
            "SELECT id, repeat('x', id - 1), now() - interval '1 hour' FROM generate_series(1, 2) AS id"
        )
        assert bench.run().predicted == 1
        assert bench.run().discovered == 0
        assert bench.value("SELECT position FROM batchord.frontiers") is not None
        yield bench


def _arrive(bench: Bench) -> None:
    """Two new records, a second apart, with room between them for another."""
    bench.sql(
        "INSERT INTO records (id, body, created_at) VALUES "
        "(8, 'xxx', clock_timestamp()), (9, 'xxxx', clock_timestamp() + interval '1 second')"
    )


def _move(bench: Bench, key: int) -> None:
    bench.sql("UPDATE records SET body = 'moved', created_at = (SELECT created_at FROM records WHERE id = 8) "
              "+ interval '0.5 second' WHERE id = %s", key)  # fmt: skip


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("key", [1, 2])
def test_a_record_that_moves_in_keeps_its_outcome(bench: Bench, key: int, version: str) -> None:
    """The ledger does not look up records that were planned as new. It finds later outcomes when it writes."""
    before = bench.outcomes()
    bench.declare(_model(version), source=_BY_ARRIVAL)
    _arrive(bench)
    run_id, messages = bench.planned()
    assert bench.value("SELECT dense FROM batchord.shards WHERE run_id = %s", run_id) is (version == "1")
    _move(bench, key)
    run = bench.run_on(run_id, messages)
    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 2, 0)
    assert bench.outcomes() == {**before, "8": 3, "9": 4}
    bench.assert_exactly_once()


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_record_that_moves_in_is_not_rejected_twice(bench: Bench, version: str) -> None:
    """Nor by another version of the model."""
    bench.declare(_model(version), source=_BY_ARRIVAL)
    _arrive(bench)
    run_id, messages = bench.planned()
    _move(bench, 1)
    bench.sql("UPDATE records SET body = '' WHERE id = 1")
    run = bench.run_on(run_id, messages)
    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 2, 0)
    bench.assert_exactly_once()

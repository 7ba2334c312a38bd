"""What metrics say about a ledger and about queues."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client

from app.configuration import QUEUES
from app.exposition import exposition
from batchord.core.run.alerts import AlertKind, NewAlert
from batchord.ledger import Ledger
from batchord.queue.depths import QueueDepths
from batchord.reports.metrics import Reading, read_metrics
from tests.integration.flow_parts import ITEMS, STEP, Bench, by
from tests.integration.graph_parts import declare_graph, ran, scoring

VERSION = "1.2.3"


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Six records and a pipeline that predicts them."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(6)
        declare_graph(bench, scoring())
        yield bench


def values(reading: Reading) -> dict[str, float]:
    """The values by what Prometheus calls their series."""
    lines = [line for line in exposition(reading).splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


def read(bench: Bench, *, depths: QueueDepths | None = None) -> dict[str, float]:
    """The metrics of the bench's ledger."""
    reading = read_metrics(version=VERSION, ledger=bench.ledger, depths=depths, standard_queues=QUEUES)
    assert list(reading.problems) == []
    return values(reading)


def test_a_run_is_counted(bench: Bench) -> None:
    """Its end, its records, its shard and its time; and nothing is pending."""
    bench.sql("UPDATE records SET body = NULL WHERE id = 6")
    ran(bench, parallelism=1)
    now = read(bench)

    assert now['batchord_runs_ended_total{pipeline="items",state="succeeded"}'] == 1
    assert now['batchord_records_predicted_total{pipeline="items",step="score"}'] == 5
    assert now['batchord_records_rejected_total{pipeline="items",step="score"}'] == 1
    assert now['batchord_records_pending{pipeline="items",step="score"}'] == 0
    assert now['batchord_oldest_pending_age_seconds{pipeline="items"}'] == 0
    assert now['batchord_run_duration_seconds_count{pipeline="items"}'] == 1
    assert now['batchord_run_duration_seconds_sum{pipeline="items"}'] > 0
    assert now['batchord_shard_duration_seconds_count{pipeline="items",step="score"}'] == 1
    assert now['batchord_shard_duration_seconds_sum{pipeline="items",step="score"}'] > 0
    assert now[f'batchord_build_info{{version="{VERSION}"}}'] == 1
    assert now['batchord_server_up{server="postgresql"}'] == 1

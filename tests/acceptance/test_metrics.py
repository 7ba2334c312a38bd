"""Flower and ``batchord metrics`` show the same metrics, and what deploy/ asks for is among them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchord.reports.metric_names import METRICS
from tests.acceptance.cluster import Cluster
from tests.acceptance.flowers import RunningFlower
from tests.monitoring import queries, series
from tests.waiting import wait_until

PREDICTED = 'batchord_records_predicted_total{pipeline="notes",step="predict"} 5.0'


@pytest.fixture
def flower(notes: Cluster, tmp_path: Path) -> Iterator[RunningFlower]:
    """Flower beside workers, after a run."""
    notes.sql("INSERT INTO notes (body) SELECT 'x' FROM generate_series(1, 5)")
    notes.start("control", "worker")
    notes.batchord("run", "notes", "--wait")
    running = RunningFlower(notes, tmp_path)
    try:
        yield running
    finally:
        running.stop()


def test_flower_and_the_command_show_a_run(flower: RunningFlower) -> None:
    """Flower's need its password; both have every metric, and every metric that a rule or a panel asks for."""
    cluster, login = flower.cluster, flower.login
    printed = cluster.batchord("metrics").stdout
    status, headers, shown = flower.get("/metrics", login=login)

    assert PREDICTED in printed.splitlines()
    assert PREDICTED in shown.splitlines()
    assert series(printed) == series(shown)
    assert set(re.findall(r"^# TYPE (\w+)", printed, re.MULTILINE)) == {metric.name for metric in METRICS}
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    assert "flower_" in shown, "Flower's own are there, too"
    assert "flower_" not in printed
    assert 'batchord_server_up{server="redis"} 1.0' in printed
    assert {query: names for query in queries() if (names := query.metrics - series(printed))} == {}

    for wrong in (None, "batchord:wrong"):
        refused, _, text = flower.get("/metrics", login=wrong)
        assert refused == 401
        assert "batchord_" not in text.replace("batchord status", "")


def test_a_message_without_a_worker_grows_old(flower: RunningFlower) -> None:
    """A stopped worker shows in Flower as messages that wait."""
    cluster, login = flower.cluster, flower.login
    cluster.stop("worker")
    cluster.sql("INSERT INTO notes (body) VALUES ('y')")
    cluster.batchord("run", "notes")

    def waits() -> bool:
        _, _, shown = flower.get("/metrics", login=login)
        ready = re.search(r'^batchord_queue_messages{queue="(\w+)",state="ready"} [1-9]', shown, re.MULTILINE)
        if ready is None:
            return False
        series = rf'^batchord_queue_oldest_message_age_seconds{{queue="{ready[1]}",state="ready"}} (\S+)$'
        age = re.search(series, shown, re.MULTILINE)
        return age is not None and float(age[1]) > 0

    wait_until(waits, description="a message waits and has an age")


def test_the_command_says_what_does_not_answer(notes: Cluster) -> None:
    """The other server's metrics are printed all the same."""
    notes.environment["BATCHORD_REDIS_URL"] = "redis://127.0.0.1:1/0"
    done = notes.batchord("metrics", check=False)

    assert done.returncode == 1
    assert 'batchord_server_up{server="postgresql"} 1.0' in done.stdout
    assert 'batchord_server_up{server="redis"} 0.0' in done.stdout
    assert "Redis at 127.0.0.1:1" in done.stderr

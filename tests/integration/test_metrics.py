"""What metrics say about a ledger and about queues."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.configuration import QUEUES
from app.exposition import exposition
from batchord.core.run.alerts import AlertKind, NewAlert
from batchord.core.run.runs import RunState
from batchord.flow.begin.start import start_run
from batchord.flow.predict.plan import plan_step
from batchord.ledger import Ledger
from batchord.queue.depths import QueueDepths
from batchord.reports.metrics import Reading, read_metrics
from tests.integration.flow_parts import ITEMS, STEP, Bench, by
from tests.integration.graph_parts import declare_graph, ran, scoring

VERSION = "1.2.3"
#: A port of loopback on which nothing listens: only root may, and no service has it.
NOBODY = 1


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


def test_counters_are_there_before_they_count(bench: Bench) -> None:
    """Prometheus sees a rise only from a value that it has seen before."""
    bench.ledger.pipelines.standings([ITEMS])
    now = read(bench)

    for state in ("succeeded", "partial", "failed", "skipped", "cancelled"):
        assert now[f'batchord_runs_ended_total{{pipeline="items",state="{state}"}}'] == 0
    for cause in ("vanished", "killed", "ended", "out-of-time", "out-of-memory", "stopped"):
        assert now[f'batchord_attempts_lost_total{{cause="{cause}",pipeline="items"}}'] == 0
    assert now['batchord_lease_takeovers_total{pipeline="items"}'] == 0


def test_pending_records_are_those_of_the_running_run(bench: Bench) -> None:
    """They are as old as their discovery."""
    bench.ledger.pipelines.standings([ITEMS])
    bench.planned()
    bench.sql("UPDATE batchord.steps SET planned_at = planned_at - interval '1 hour'")
    bench.sql("UPDATE batchord.shards SET predicted = 1, rejected = 1 WHERE index = 0")
    now = read(bench)

    assert now['batchord_runs{pipeline="items",state="running"}'] == 1
    assert now['batchord_records_pending{pipeline="items",step="score"}'] == 4
    assert 3600 <= now['batchord_oldest_pending_age_seconds{pipeline="items"}'] < 3700


def test_what_a_failed_run_left_is_pending_until_a_run_has_planned_it_again(bench: Bench) -> None:
    """Nothing is counted twice: a running run has found again what the run before left."""
    bench.ledger.pipelines.standings([ITEMS])
    run_id, _ = bench.planned()
    with bench.ledger.runs.lock(run_id) as locked:
        locked.close_open("it broke")
        locked.end(RunState.FAILED, {}, "it broke")
    pending = 'batchord_records_pending{pipeline="items",step="score"}'
    assert read(bench)[pending] == 6

    bench.insert(1)
    run, messages = start_run(bench.parts(), pipeline=ITEMS, trigger="call")
    assert messages
    assert read(bench)[pending] == 6
    plan_step(bench.parts(), run_id=run.id, step=STEP)
    assert read(bench)[pending] == 7


def test_what_people_must_look_at(bench: Bench) -> None:
    """Pauses, the newest success, problems that are not over, and alerts that are not sent."""
    bench.ledger.pipelines.standings([ITEMS])
    assert 'batchord_last_success_timestamp_seconds{pipeline="items"}' not in read(bench)
    ran(bench)
    bench.sql("UPDATE batchord.pipelines SET paused_at = now()")
    alert = NewAlert(event="silence:items", kind=AlertKind.SILENCE, pipeline=ITEMS, title="t", message="m")
    bench.ledger.alerts.begin(AlertKind.SILENCE, alert)
    bench.sql("UPDATE batchord.alerts SET created_at = created_at - interval '1 hour'")
    now = read(bench)

    assert now['batchord_pipeline_paused{pipeline="items"}'] == 1
    assert abs(now['batchord_last_success_timestamp_seconds{pipeline="items"}'] - time.time()) < 60
    assert now['batchord_alerts_open{kind="silence",pipeline="items"}'] == 1
    assert now["batchord_alerts_unsent"] == 1
    assert 3600 <= now["batchord_oldest_unsent_alert_age_seconds"] < 3700


def test_a_role_that_may_only_read_is_enough(bench: Bench) -> None:
    """The process that shows metrics needs no right to write."""
    ran(bench)
    reader = Ledger(by("source", bench.url), max_connections=1)
    try:
        reading = read_metrics(version=VERSION, ledger=reader, depths=None, standard_queues=QUEUES)
    finally:
        reader.close()

    assert list(reading.problems) == []
    assert values(reading).keys() == read(bench).keys()


def test_a_server_that_does_not_answer_costs_its_own_metrics_alone(bench: Bench) -> None:
    """And the reading says why."""
    nobody = Ledger(f"postgresql://nobody@127.0.0.1:{NOBODY}/none", wait_seconds=0.1)
    depths = QueueDepths(f"redis://127.0.0.1:{NOBODY}/0")
    reading = read_metrics(version=VERSION, ledger=nobody, depths=depths, standard_queues=QUEUES)
    nobody.close()

    assert values(reading)['batchord_server_up{server="postgresql"}'] == 0
    assert values(reading)['batchord_server_up{server="redis"}'] == 0
    assert ["database" in reading.problems[0], "Redis" in reading.problems[1]] == [True, True]
    assert read(bench)['batchord_server_up{server="postgresql"}'] == 1

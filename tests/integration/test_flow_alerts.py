"""Each event is reported to people once, even if several processes find it several times."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchord import FunctionModel
from batchord.core.calendar.schedules import every
from batchord.core.declared.alerts import Alerts
from batchord.core.declared.limits import RejectionLimit
from batchord.core.run.runs import RunState
from batchord.flow.drive.advance import advance
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.upkeep.audit import audit_and_repair
from batchord.flow.upkeep.switch import pause
from batchord.flow.upkeep.watch import watch
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, STEP, Bench
from tests.integration.graph_parts import Calls, declare_graph, opened, ran, scoring

BY_ARRIVAL = SqlSource("SELECT id, body, created_at FROM records", key="id", arrival="created_at")
WINDOWED = SqlSource(
    "SELECT id, body FROM records WHERE created_at >= :window_start AND created_at < :window_end", key="id"
)
HOUR = timedelta(hours=1)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """No records."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


@pytest.fixture
def calls() -> Calls:
    """What was called in this test."""
    return Calls()


def kept(bench: Bench) -> list[str]:
    """The alerts, oldest first."""
    return bench.column("SELECT kind FROM batchord.alerts ORDER BY id")


def seen_hours_ago(bench: Bench, hours: int) -> None:
    """All pipelines are known for that long."""
    watch(bench.parts())
    bench.sql("UPDATE batchord.pipelines SET first_seen_at = clock_timestamp() - make_interval(hours => %s)", hours)


def watched_by_eight(bench: Bench) -> None:
    """As if beat had sent the watch task eight times at once."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: watch(bench.parts()), range(8)))


def test_a_failed_run_is_reported(bench: Bench, calls: Calls) -> None:
    """Once, even if the run is continued several times, with the cause and the place to look."""
    declare_graph(bench, calls.failing("a"), calls.failing("b"))
    run = ran(bench)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: advance(bench.parts(), run_id=run.id), range(8)))
    ((kind, pipeline, run_id, title, message),) = bench.sql(
        "SELECT kind, pipeline, run_id::text, title, message FROM batchord.alerts"
    )
    assert (kind, pipeline, run_id, title) == ("run-failed", ITEMS, run.id, "items: run failed")
    assert "step a: ValueError: it broke; step b: ValueError: it broke" in message
    assert f"batchord show {run.id}" in message


def test_a_partial_run_is_reported(bench: Bench) -> None:
    """Some shards failed, others did not."""

    def half(frame: pd.DataFrame) -> Any:
        return frame["body"].str.len().iloc[: 1 if 4 in frame.index else None]

    bench.insert(6)
    declare_graph(bench, scoring(model=FunctionModel(half, version="1"), shard_rows=3))
    assert ran(bench, parallelism=1).state is RunState.PARTIAL
    assert kept(bench) == ["run-partial"]


@pytest.mark.parametrize("state", ["succeeded", "cancelled", "skipped"])
def test_other_ends_raise_no_alert(bench: Bench, calls: Calls, state: str) -> None:
    """The person who cancelled a run knows it, and the ledger records a skipped tick."""
    declare_graph(bench, calls.step("a"), schedule=every(hours=1))
    run_id, messages = opened(bench)
    if state == "succeeded":
        bench.run_on(run_id, messages)
    elif state == "cancelled":
        cancel_run(bench.parts(), run_id=run_id)
    assert kept(bench) == []


def test_a_recovery_is_reported_once(bench: Bench, calls: Calls) -> None:
    """After any number of failures; each failed run is an event of its own, and the second outage a new one."""
    for outage in (1, 2):
        declare_graph(bench, calls.failing("a"))
        ran(bench)
        ran(bench)
        declare_graph(bench, calls.step("a"))
        ran(bench)
        ran(bench)
        assert kept(bench) == ["run-failed", "run-failed", "recovered"] * outage
    assert bench.sql("SELECT * FROM batchord.incidents") == []


def test_a_recovery_of_one_is_not_that_of_another(bench: Bench, calls: Calls) -> None:
    """Pipelines fail apart."""
    declare_graph(bench, calls.failing("a"))
    declare_graph(bench, calls.step("a"), name="other")
    ran(bench)
    ran(bench, "other")
    assert kept(bench) == ["run-failed"]


def refusing(frame: pd.DataFrame) -> "pd.Series[Any]":
    """A model without a score for three records."""
    lengths = frame["body"].str.len()
    return lengths.where(lengths > 3, float("inf"))


def test_too_many_rejections_are_one_alert(bench: Bench) -> None:
    """There is no second alert for the partial run."""
    bench.insert(12)
    declare_graph(bench, scoring(model=refusing, rejection_limit=RejectionLimit(share=0.2, count=2)))
    assert ran(bench).state is RunState.PARTIAL
    assert kept(bench) == ["rejection-limit"]


def test_a_failure_besides_too_many_rejections_is_reported(bench: Bench, calls: Calls) -> None:
    """The run has failed for another step."""
    bench.insert(12)
    declare_graph(
        bench, scoring(model=refusing, rejection_limit=RejectionLimit(share=0.2, count=2)), calls.failing("other")
    )
    ran(bench)
    assert kept(bench) == ["rejection-limit", "run-failed"]


def test_an_audit_that_is_not_clean_is_reported_once_a_day(bench: Bench) -> None:
    """It finds a record below the frontier, which must not happen."""
    bench.insert(3)
    declare_graph(bench, scoring())
    ran(bench)
    ran(bench)
    bench.sql("INSERT INTO records (id, body) VALUES (-1, 'x'), (-2, 'x')")
    messages = audit_and_repair(bench.parts(), pipeline=ITEMS)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: audit_and_repair(bench.parts(), pipeline=ITEMS), range(8)))
    assert kept(bench) == ["audit"]
    for each in messages:
        bench.run_on(bench.value("SELECT id::text FROM batchord.runs ORDER BY created_at LIMIT 1"), [each])
    assert audit_and_repair(bench.parts(), pipeline=ITEMS) == []
    bench.assert_exactly_once()


def test_records_that_wait_too_long_are_reported_and_so_is_their_end(bench: Bench) -> None:
    """Once for as long as it lasts; the next time is a new event."""
    declare_graph(bench, scoring(source=BY_ARRIVAL), alerts=Alerts(max_record_age=HOUR))
    watched_by_eight(bench)
    assert kept(bench) == []
    for times in (1, 2):
        bench.sql("INSERT INTO records (body, created_at) VALUES ('x', clock_timestamp() - interval '2 hours')")
        watched_by_eight(bench)
        watched_by_eight(bench)
        assert kept(bench) == [*["record-age", "recovered"] * (times - 1), "record-age"]
        ran(bench)
        watched_by_eight(bench)
        watched_by_eight(bench)
        assert kept(bench) == ["record-age", "recovered"] * times


def test_a_record_that_arrived_before_all_time_has_no_age(bench: Bench) -> None:
    """It waits like the others, and hides none of them."""
    declare_graph(bench, scoring(source=BY_ARRIVAL), alerts=Alerts(max_record_age=HOUR))
    bench.sql("INSERT INTO records (body, created_at) VALUES ('x', '-infinity'), ('y', '0044-03-15 BC')")
    watch(bench.parts())
    assert kept(bench) == []
    bench.sql("INSERT INTO records (body, created_at) VALUES ('z', clock_timestamp() - interval '2 hours')")
    watch(bench.parts())
    assert kept(bench) == ["record-age"]


def test_a_record_that_is_young_or_rejected_is_not_reported(bench: Bench) -> None:
    """A record with any outcome does not wait any more."""
    declare_graph(bench, scoring(source=BY_ARRIVAL, model=refusing), alerts=Alerts(max_record_age=HOUR))
    bench.sql("INSERT INTO records (body, created_at) VALUES ('x', clock_timestamp() - interval '2 hours')")
    assert ran(bench).rejected == 1
    bench.insert(1)
    watch(bench.parts())
    assert kept(bench) == ["run-failed"], "the model gave nothing, which is told; that the record waits is not"


def test_an_age_that_cannot_be_computed_hides_nothing_else(
    bench: Bench, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    """Its table is gone, or the arrival is not a time. The log says so, and the other pipelines are still checked."""
    no_time = SqlSource("SELECT id, body, id * 2 AS n FROM records", key="id", arrival="n")
    gone = SqlSource("SELECT id, at FROM gone", key="id", arrival="at")
    bench.insert(1)
    old = Alerts(max_record_age=HOUR)
    declare_graph(bench, scoring(source=no_time), name="a", alerts=old)
    declare_graph(bench, scoring(source=gone), name="b", alerts=old)
    declare_graph(bench, calls.step("a"), name="c", alerts=Alerts(max_time_without_success=HOUR))
    seen_hours_ago(bench, 2)
    watch(bench.parts())
    assert kept(bench) == ["silence"]
    assert "The age of the records of a could not be checked" in caplog.text
    assert "The age of the records of b could not be checked" in caplog.text


def started_hours_ago(bench: Bench, run_id: str, hours: int) -> None:
    """The run is at work for that long."""
    bench.sql("UPDATE batchord.runs SET started_at = started_at - make_interval(hours => %s) WHERE id = %s",
              hours, run_id)  # fmt: skip


def test_a_run_that_takes_too_long_is_reported(bench: Bench, calls: Calls) -> None:
    """Once, while it runs. Its success is reported as a recovery."""
    declare_graph(bench, calls.step("a"), alerts=Alerts(max_run_time=HOUR))
    run_id, messages = opened(bench)
    watched_by_eight(bench)
    assert kept(bench) == []
    started_hours_ago(bench, run_id, 2)
    watched_by_eight(bench)
    watched_by_eight(bench)
    assert kept(bench) == ["run-time"]
    bench.run_on(run_id, messages)
    watched_by_eight(bench)
    assert kept(bench) == ["run-time", "recovered"]


def test_a_long_run_beside_others_is_reported_once(bench: Bench) -> None:
    """The success of the other runs is not a recovery each time."""
    declare_graph(bench, Calls().step("a"), max_active_runs=2, alerts=Alerts(max_run_time=HOUR))
    long, _ = opened(bench)
    started_hours_ago(bench, long, 2)
    for _ in range(3):
        watch(bench.parts())
        assert ran(bench).state is RunState.SUCCEEDED
    assert kept(bench) == ["run-time", "recovered"]


def test_silence_is_reported(bench: Bench, calls: Calls) -> None:
    """A pipeline without a successful run is reported from its first day on. A successful run ends the silence."""
    declare_graph(bench, calls.step("a"), alerts=Alerts(max_time_without_success=HOUR))
    watched_by_eight(bench)
    assert kept(bench) == []
    for times in (1, 2):
        seen_hours_ago(bench, 2)
        bench.sql("UPDATE batchord.runs SET finished_at = finished_at - interval '2 hours'")
        watched_by_eight(bench)
        watched_by_eight(bench)
        assert kept(bench) == [*["silence", "recovered"] * (times - 1), "silence"]
        ran(bench)
        assert kept(bench) == ["silence", "recovered"] * times


def test_a_paused_pipeline_may_be_silent(bench: Bench, calls: Calls) -> None:
    """And from its resumption on has its time again."""
    declare_graph(bench, calls.step("a"), alerts=Alerts(max_time_without_success=HOUR))
    seen_hours_ago(bench, 9)
    pause(bench.parts(), pipeline=ITEMS, paused=True)
    watch(bench.parts())
    pause(bench.parts(), pipeline=ITEMS, paused=False)
    watch(bench.parts())
    assert kept(bench) == []
    bench.sql("UPDATE batchord.pipelines SET switched_at = switched_at - interval '2 hours'")
    watch(bench.parts())
    assert kept(bench) == ["silence"]


def test_one_recovery_ends_all_that_was_wrong(bench: Bench, calls: Calls) -> None:
    """A failed run and a long silence are over with the same success: one message, since the first of them."""
    declare_graph(bench, calls.failing("a"), alerts=Alerts(max_time_without_success=HOUR))
    ran(bench)
    seen_hours_ago(bench, 2)
    watch(bench.parts())
    declare_graph(bench, calls.step("a"), alerts=Alerts(max_time_without_success=HOUR))
    ran(bench)
    assert kept(bench) == ["run-failed", "silence", "recovered"]
    assert bench.sql("SELECT * FROM batchord.incidents") == []
    assert STEP not in bench.value("SELECT message FROM batchord.alerts WHERE kind = 'recovered'")

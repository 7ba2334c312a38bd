"""What a run waits for, in words."""

import re
from datetime import timedelta

from batchord import Predict
from batchord.core.declared.retries import Retry
from batchord.core.run.runs import RunState
from batchord.flow.begin.start import start_run
from batchord.reports.progress import progress_of
from batchord.reports.run_page import run_page
from batchord.reports.waits import waits_of
from tests.integration.flow_parts import RECORDS, STEP, Bench, length
from tests.integration.graph_parts import Calls, declare_graph, opened, scoring


def waits(bench: Bench, run_id: str) -> list[str]:
    """The sentences."""
    return list(waits_of(bench.ledger, bench.ledger.runs.get(run_id)))


def test_a_queued_run_names_the_runs_before_it(bench: Bench) -> None:
    """Those at work, those whose turn is earlier, and the limit."""
    bench.declare()
    first = bench.started()
    second = start_run(bench.parts(), pipeline="items", trigger="cli")[0]
    third = start_run(bench.parts(), pipeline="items", trigger="cli")[0]

    assert third.state is RunState.QUEUED
    one, two, limit = waits(bench, third.id)
    for told, form, run, other in (
        (one, r"It waits for run (\S+), which is running\.", first, second),
        (two, r"Run (\S+) starts before it\.", second, first),
    ):
        named = re.fullmatch(form, told)
        assert named is not None
        assert run.id.startswith(named[1])
        assert not other.id.startswith(named[1])
    assert limit == "At most 1 run of items is at work at a time."
    assert len(waits(bench, second.id)) == 2


def test_a_run_that_nothing_blocks_waits_for_a_worker(bench: Bench) -> None:
    """Its message is on its way, or was lost and is sent again."""
    bench.declare()
    run = bench.started()
    bench.sql("UPDATE batchord.runs SET state = 'queued' WHERE id = %s", run.id)
    assert waits(bench, run.id) == ["No other run blocks it. It starts as soon as a control worker takes its message."]


def test_a_skipped_run_says_why(bench: Bench) -> None:
    """It never started."""
    bench.declare()
    run = bench.started()
    bench.sql("UPDATE batchord.runs SET state = 'skipped', error = 'an earlier run was active' WHERE id = %s", run.id)
    assert waits(bench, run.id) == ["It never started: an earlier run was active."]


def test_steps_name_what_they_wait_for(bench: Bench) -> None:
    """A worker, or the steps before them."""
    bench.insert(4)
    declare_graph(bench, scoring(), Calls().step("report", STEP))
    run_id, messages = opened(bench)
    assert waits(bench, run_id) == [
        f"Step {STEP} waits for a control worker.",
        f"Step report waits for {STEP}.",
    ]
    bench.run_on(run_id, messages)
    assert waits(bench, run_id) == []


def test_a_step_that_is_tried_again_says_when(bench: Bench) -> None:
    """Its error is with its attempt."""
    declare_graph(
        bench, Calls().failing("sync", retry=Retry(3, base=timedelta(minutes=10), ceiling=timedelta(hours=1)))
    )
    run_id, messages = opened(bench)
    for message in messages:
        bench.work(message)
    (sentence,) = waits(bench, run_id)
    assert sentence.startswith("Step sync has failed and is tried again at 20")


def test_shards_wait_for_their_queue(bench: Bench) -> None:
    """With the number of shards that are at work; and the progress counts records."""
    bench.insert(40)
    bench.declare(length, shard_rows=10)
    run_id, _ = bench.planned()
    bench.claim(run_id)

    (queue,) = bench.column("SELECT queue FROM batchord.steps WHERE run_id = %s", run_id)
    assert waits(bench, run_id) == [
        f"3 shards of step {STEP} wait for a worker on queue {queue}. 1 shard of it at work."
    ]
    (progress,) = progress_of(bench.ledger, run_id)
    assert (progress.discovered, progress.accounted, progress.pending, progress.part) == (40, 0, 40, 0.0)
    assert (progress.shards, progress.running, progress.waiting) == (4, 1, 3)
    assert progress.seconds_left is None, "nothing is done, so nobody can know"


def test_the_time_left_follows_from_the_speed_so_far(bench: Bench) -> None:
    """30 of 40 records in a minute: the rest takes a third of that."""
    bench.insert(40)
    bench.declare(length, shard_rows=10)
    run_id, _ = bench.planned()
    bench.sql(
        "UPDATE batchord.shards SET state = 'done', predicted = 10, started_at = batchord.now() - interval '60 s' "
        "WHERE run_id = %s AND index < 3",
        run_id,
    )
    (progress,) = progress_of(bench.ledger, run_id)
    assert progress.seconds_left is not None
    assert 19 < progress.seconds_left < 30
    assert progress.sentence.startswith(f"Step {STEP} has done 30 of 40 records, 0 records/s, about 0:00:2")


def test_the_page_offers_only_what_makes_sense(bench: Bench) -> None:
    """Cancel while it is open, Rerun when it has ended, Rerun failed after a failure, Retry for rejections."""

    def offers(run_id: str) -> tuple[bool, ...]:
        page = run_page(bench.ledger, bench.ledger.runs.get(run_id))
        return page.may_cancel, page.may_rerun, page.may_rerun_failed, page.may_retry

    bench.insert(2)
    declare_graph(bench, Predict("predict", source=RECORDS, model=length), Calls().failing("report"))
    run_id, messages = opened(bench)
    assert offers(run_id) == (True, False, False, False)
    assert bench.run_on(run_id, messages).state is not RunState.SUCCEEDED
    assert offers(run_id) == (False, True, True, False)
    bench.sql(
        "INSERT INTO batchord.rejections (pipeline, step, record_key, model_version, reason, detail, attempts, run_id, "
        "shard) VALUES ('items', 'predict', 'k', 'v', 'empty-text', 'd', 1, %s, 0)",
        run_id,
    )
    assert offers(run_id) == (False, True, True, True)
    (group,) = run_page(bench.ledger, bench.ledger.runs.get(run_id)).rejections
    assert (group.reason, group.count, [each.key for each in group.samples]) == ("empty-text", 1, ["k"])

"""A person lets the ledger forget what a pipeline has predicted, and the next run predicts all of it again."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from batchord import Python
from batchord.core.calendar.schedules import after_pipeline, every
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError, UnknownPipeline, UnknownStep
from batchord.core.run.messages import BacklogLeft
from batchord.core.run.resets import StepResults
from batchord.core.run.runs import RunState
from batchord.flow.begin.repair import retry_rejections
from batchord.flow.upkeep.audit import audit
from batchord.flow.upkeep.reset import forgettable
from batchord.reports.run import detail_of
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, length
from tests.integration.reset_parts import forget, outcomes, predicted_bench

WINDOWED = SqlSource(
    "SELECT id, body FROM records WHERE created_at >= :window_start AND created_at < :window_end", key="id"
)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """See :func:`.reset_parts.predicted_bench`."""
    with predicted_bench(database_url, tmp_path) as bench:
        yield bench


def test_everything_is_predicted_again(bench: Bench) -> None:
    """By an ordinary run: the frontier is forgotten, too. The audit finds nothing wrong before and after it."""
    assert forget(bench) == [StepResults(step=STEP, predictions=9, rejections=1, has_frontier=True)]
    assert outcomes(bench) == 0
    found, examples = audit(bench.parts(), pipeline=ITEMS)
    assert (found.clean, found.pending, examples) == (True, 10, {})
    run = bench.run()
    assert (run.state, run.discovered, run.predicted) == (RunState.SUCCEEDED, 10, 10)
    bench.assert_exactly_once()
    assert audit(bench.parts(), pipeline=ITEMS)[0].clean


def test_what_would_be_forgotten_is_shown_and_nothing_changes(bench: Bench) -> None:
    """Counts and times of each step, and what depends on it."""
    steps = [
        Predict(STEP, source=RECORDS, model=length),
        Python("report", print, after=[STEP]),
        Python("publish", print, after=["report"]),
        Python("clean", print),
    ]
    bench.catalog.pipelines[ITEMS] = Pipeline(ITEMS, steps=steps)
    bench.catalog.pipelines["digest"] = Pipeline("digest", schedule=after_pipeline(ITEMS), steps=steps)
    found = forgettable(bench.parts(), pipeline=ITEMS)
    ((since, until),) = bench.sql("SELECT min(at), max(at) FROM (SELECT predicted_at AS at FROM batchord.predictions "
                                  "UNION ALL SELECT rejected_at FROM batchord.rejections) AS written")  # fmt: skip
    expected = StepResults(step=STEP, predictions=9, rejections=1, since=since, until=until, has_frontier=True)
    assert (found.steps, found.later_steps, found.followers) == ([expected], ["report", "publish"], ["digest"])
    assert outcomes(bench) == 10


def test_one_step_is_forgotten_and_the_others_stay(bench: Bench) -> None:
    """Other pipelines as well. A step that the file has no more can be named, a step that never was cannot."""
    step = Predict("second", source=RECORDS, model=length)
    bench.catalog.pipelines[ITEMS] = Pipeline(ITEMS, steps=[step])
    bench.declare(name="others")
    bench.run()
    bench.run("others")
    assert [each.step for each in forgettable(bench.parts(), pipeline=ITEMS).steps] == [STEP, "second"]
    assert [each.step for each in forgettable(bench.parts(), pipeline=ITEMS, step=STEP).steps] == [STEP]
    forget(bench)
    left = "SELECT pipeline, step, count(*) FROM batchord.predictions GROUP BY 1, 2 ORDER BY 1, 2"
    assert bench.sql(left) == [(ITEMS, "second", 10), ("others", STEP, 10)]
    assert bench.column("SELECT step FROM batchord.frontiers ORDER BY pipeline") == ["second", STEP]
    with pytest.raises(UnknownStep, match="items has no Predict step 'third'"):
        forgettable(bench.parts(), pipeline=ITEMS, step="third")


def test_a_pipeline_without_a_file_can_be_forgotten(bench: Bench) -> None:
    """Its results are in the way. A name that nobody knows is an error."""
    bench.catalog.pipelines.clear()
    assert forgettable(bench.parts(), pipeline=ITEMS).steps[0].predictions == 9
    forget(bench)
    assert outcomes(bench) == 0
    with pytest.raises(UnknownPipeline):
        forgettable(bench.parts(), pipeline="nobody")


def test_who_did_it_is_kept_with_what_was_forgotten(bench: Bench) -> None:
    """In the same transaction: if the entry cannot be written, nothing is forgotten."""
    bench.sql("ALTER TABLE batchord.history ADD CONSTRAINT refused CHECK (action = 'none') NOT VALID")
    with pytest.raises(psycopg.errors.CheckViolation):
        forget(bench)
    assert outcomes(bench) == 10
    bench.sql("ALTER TABLE batchord.history DROP CONSTRAINT refused")
    forget(bench)
    query = "SELECT action, pipeline, by_user, detail FROM batchord.history"
    assert bench.sql(query) == [("reset", ITEMS, "ada", {"steps": [STEP], "predictions": 9, "rejections": 1})]


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_pipeline_at_work_is_not_reset(bench: Bench, state: str) -> None:
    """Neither while a run waits. The error names the run and the next step."""
    run = bench.started()
    bench.sql("UPDATE batchord.runs SET state = %s WHERE id = %s", state, run.id)
    named = rf"run (?P<short>{run.id[:8]}\S*) is {state}\. .*`batchord cancel (?P=short)`"
    for refused in (lambda: forgettable(bench.parts(), pipeline=ITEMS), lambda: forget(bench)):
        with pytest.raises(ConfigurationError, match=named):
            refused()
    assert outcomes(bench) == 10


def test_an_old_run_still_adds_up_and_says_what_became_of_its_work(bench: Bench) -> None:
    """Its counts stay; runs after the reset say nothing of it."""
    old = bench.ledger.reports.runs()[-1]
    forget(bench)
    new = bench.run()
    detail = detail_of(bench.ledger, bench.ledger.runs.get(old.id))
    assert (detail.outcome.run.discovered, detail.outcome.run.predicted, detail.outcome.run.rejected) == (10, 9, 1)
    assert list(detail.resets) == [STEP]
    assert detail.as_json()["resets"] == detail.resets
    assert detail_of(bench.ledger, new).resets == {}


def test_a_retry_after_a_reset_finds_no_rejection(bench: Bench) -> None:
    """They are gone, and nothing is to be predicted again that the next run would not predict."""
    forget(bench)
    assert retry_rejections(bench.parts(), pipeline=ITEMS) == (None, 0, [])


def test_a_backlog_is_continued_after_a_reset(bench: Bench) -> None:
    """The follow-up run reads all that there is."""
    bench.declare(shard_rows=1)
    forget(bench)
    run_id, shards = bench.planned(max_shards=4)
    bench.work(shards[0])
    assert bench.ledger.runs.get(run_id).predicted == 4
    forget(bench)
    assert bench.ledger.recovery.backlogs() == [(ITEMS, run_id)]
    bench.run_on(run_id, [BacklogLeft(pipeline=ITEMS, after_run=run_id)], max_shards=4)
    bench.assert_exactly_once()


def test_after_a_reset_windows_of_the_past_count_as_those_of_a_new_pipeline(bench: Bench) -> None:
    """They are pending, not missing. A run by hand without a schedule reads all of them."""
    bench.sql("UPDATE records SET created_at = now() - interval '3 days'")
    bench.declare(source=WINDOWED, name="hand")
    assert bench.run("hand").predicted == 10
    assert forgettable(bench.parts(), pipeline="hand").windowed == []
    forget(bench, pipeline="hand")
    found, _ = audit(bench.parts(), pipeline="hand")
    assert (found.clean, found.pending) == (True, 10)
    assert bench.run("hand").predicted == 10
    assert audit(bench.parts(), pipeline="hand")[0].clean


def test_a_schedule_reads_only_coming_windows_after_a_reset(bench: Bench) -> None:
    """The person is told before."""
    step = Predict(STEP, source=WINDOWED, model=length)
    bench.catalog.pipelines["hourly"] = Pipeline("hourly", schedule=every(hours=1), steps=[step])
    assert forgettable(bench.parts(), pipeline="hourly").windowed == [STEP]

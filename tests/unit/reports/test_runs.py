"""The newest runs, and how far one is."""

from dataclasses import asdict

import pytest

from batchord import Pipeline, Predict
from batchord.flow.begin.start import start_run
from batchord.flow.predict.plan import plan_step
from batchord.reports.counts import StepCounts, counts_of, in_steps
from batchord.reports.runs import RunReport, newest_runs
from tests.integration.flow_parts import RECORDS, STEP, Bench, length


def test_the_newest_run_comes_first(bench: Bench) -> None:
    """Filtered by pipeline and state, at most so many."""
    bench.insert(3)
    bench.declare()
    first, second = bench.run(), bench.run()
    bench.declare(name="other")
    other = bench.run("other")

    assert [run.id for run in newest_runs(bench.ledger, limit=10)] == [other.id, second.id, first.id]
    assert [run.id for run in newest_runs(bench.ledger, pipeline="items", limit=1)] == [second.id]
    assert newest_runs(bench.ledger, state="failed", limit=10) == []


def test_a_report_holds_what_programs_may_rely_on(bench: Bench) -> None:
    """In this order; a field that is renamed or removed breaks them."""
    bench.insert(2)
    bench.declare()
    report = RunReport.of(bench.run())

    assert list(asdict(report)) == [
        "id",
        "pipeline",
        "kind",
        "trigger",
        "slot",
        "state",
        "discovered",
        "predicted",
        "rejected",
        "created_at",
        "started_at",
        "finished_at",
        "counts",
    ]
    assert (report.discovered, report.predicted, report.pending) == (2, 2, 0)
    assert report.seconds is not None


def test_a_run_that_is_open_has_no_duration(bench: Bench) -> None:
    """And what is left of it is pending."""
    bench.declare()
    run = bench.started()
    report = RunReport.of(run)

    assert report.seconds is None
    assert counts_of(bench.ledger, [run.id]) == {run.id: [StepCounts(step=STEP, discovered=0, predicted=0, rejected=0)]}


def test_each_predict_step_counts_its_own_records(bench: Bench) -> None:
    """Both steps predict the same records: their sum is no number of records. The counts grow while the run works."""
    bench.insert(3)
    steps = [
        Predict("long", source=RECORDS, model=length),
        Predict("short", source=RECORDS, model=length, after="long"),
    ]
    bench.catalog.pipelines["items"] = Pipeline("items", steps=steps)
    run = bench.started()
    messages = plan_step(bench.parts(), run_id=run.id, step="long")
    (before, _) = counts_of(bench.ledger, [run.id])[run.id]
    report = RunReport.of(bench.run_on(run.id, messages))

    assert (before.discovered, before.pending) == (3, 3)
    assert report.discovered == 6
    assert [(each.step, each.discovered, each.predicted, each.accounted) for each in report.counts] == [
        ("long", 3, 3, 3),
        ("short", 3, 3, 3),
    ]
    assert newest_runs(bench.ledger, limit=1)[0].counts == report.counts
    assert in_steps([each.predicted for each in report.counts]) == "2 x 3"
    assert in_steps([3, 2]) == "3 + 2"


@pytest.mark.parametrize(("trigger", "shown"), [("cli", "by hand"), ("call", "a program"), ("nightly", "nightly")])
def test_a_trigger_is_named_in_words(bench: Bench, trigger: str, shown: str) -> None:
    """Programs get the ledger's own text."""
    bench.declare()
    run, _ = start_run(bench.parts(), pipeline="items", trigger=trigger)
    report = RunReport.of(run)

    assert (report.started_by, report.trigger) == (shown, trigger)

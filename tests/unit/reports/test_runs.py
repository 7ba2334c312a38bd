"""The newest runs, and how far one is."""

from dataclasses import asdict

from batchord.reports.runs import Progress, RunReport, newest_runs, progress
from tests.integration.flow_parts import Bench


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
    ]
    assert (report.discovered, report.predicted, report.pending) == (2, 2, 0)
    assert report.seconds is not None


def test_a_run_that_is_open_has_no_duration(bench: Bench) -> None:
    """And what is left of it is pending."""
    bench.declare()
    run = bench.started()
    report = RunReport.of(run)

    assert report.seconds is None
    assert progress(bench.ledger, run.id) == Progress(discovered=0, accounted=0)

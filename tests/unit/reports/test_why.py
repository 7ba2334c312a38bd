"""Records that have an outcome, each told by `batchord why`."""

import pandas as pd

from batchord import FunctionModel
from batchord.reports.why.inputs import InputReport
from batchord.reports.why.story import RecordState
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, Bench, batch_of
from tests.unit.reports.told_records import BY_ARRIVAL, why


def _picky(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"score": [float("inf")] * len(frame)}, index=frame.index)


def test_a_prediction_is_told_with_its_provenance(bench: Bench) -> None:
    """Run, shard, attempts, worker, model, arrival and input."""
    bench.insert(3)
    bench.declare(source=BY_ARRIVAL)
    run_id, shards = bench.planned()
    bench.claim(run_id, worker="other:7")
    bench.expire_leases()
    bench.run_on(run_id, shards)

    step = why(bench, "2")

    assert (step.state, step.why, step.next, step.in_source) == (RecordState.PREDICTED, "", None, True)
    assert step.arrival == bench.value("SELECT created_at FROM records WHERE id = 2")
    outcome = step.outcome
    assert outcome is not None
    assert (outcome.run_id, outcome.shard, outcome.attempt, outcome.worker) == (run_id, 0, 2, "test:1")
    assert [(each.attempt, each.state, each.cause, each.worker) for each in step.attempts] == [
        (1, "lost", "vanished", "other:7"),
        (2, "done", None, "test:1"),
    ]
    assert step.model_version_now == outcome.model_version
    assert step.input == InputReport(then=outcome.input_digest, now=outcome.input_digest, changed=False)
    assert outcome.discovered_at is not None
    assert outcome.discovered_at <= outcome.at


def test_a_record_that_has_changed_since_keeps_its_prediction(predicted: Bench) -> None:
    """The digests say so. After an edit of the query they cannot."""
    predicted.sql("UPDATE records SET body = 'other' WHERE id = 2")
    report = why(predicted, "2").input
    assert report is not None
    assert report.changed
    assert report.then != report.now

    predicted.declare(source=SqlSource("SELECT id, upper(body) AS body FROM records", key="id"))
    report = why(predicted, "2").input
    assert report is not None
    assert (report.changed, report.unknown is None) == (None, False)


def test_a_predicted_record_that_was_deleted(predicted: Bench) -> None:
    """Its prediction stays."""
    predicted.sql("DELETE FROM records WHERE id = 2")
    step = why(predicted, "2")
    assert (step.state, step.in_source, step.input) == (RecordState.PREDICTED, False, None)


def test_a_predicted_record_whose_source_is_away(predicted: Bench) -> None:
    """What the ledger knows is told even so."""
    predicted.sql("ALTER TABLE records RENAME TO hidden")
    step = why(predicted, "2")
    assert (step.state, step.in_source) == (RecordState.PREDICTED, None)
    assert "hidden" not in str(step.source_error)
    assert "records" in str(step.source_error)
    unknown = why(predicted, "9")
    assert unknown.state is RecordState.UNKNOWN
    assert "its source could not be read" in unknown.why
    assert "records" in str(unknown.source_error)


def test_a_record_with_two_outcomes(predicted: Bench) -> None:
    """Against the rules: the newest is shown, and that there is another."""
    predicted.insert_earlier(
        "SELECT pipeline, step, record_key, 'other', run_id, 0, 1 FROM batchord.predictions WHERE record_key = '2'"
    )
    step = why(predicted, "2")
    assert (step.outcomes, step.outcome is not None and step.outcome.model_version) == (2, "other")
    assert "2 outcomes" in str(step.next)


def test_a_prediction_of_a_pruned_run(predicted: Bench) -> None:
    """Only what the run knew is gone."""
    predicted.sql("DELETE FROM batchord.runs")
    step = why(predicted, "2")
    assert step.outcome is not None
    assert (step.state, step.outcome.kind, step.attempts) == (RecordState.PREDICTED, None, [])


def test_a_rejection_is_told_with_its_reason(bench: Bench) -> None:
    """And with the command that tries it again; whether its values would pass now is told as well."""
    bench.insert(2)
    bench.declare()
    run_id, shards = bench.planned()
    bench.ledger.shards.commit(bench.claim(run_id), batch_of(rejected=[2]))
    bench.expire_leases()
    bench.run_on(run_id, shards)

    step = why(bench, "2")

    assert (step.state, step.why) == (RecordState.REJECTED, "bad: it is bad")
    assert f"`batchord retry {ITEMS} --key 2`" in str(step.next)
    assert step.input is not None
    assert (step.input.then, step.input.changed, step.input.refused) == (None, None, None)
    assert step.input.now is not None


def test_a_rejection_whose_reason_is_the_model_tells_nothing_of_the_input(bench: Bench) -> None:
    """The model got the record; one whose text is missing never came to it, and still would not."""
    bench.insert(2)
    bench.sql("UPDATE records SET body = NULL WHERE id = 1")
    bench.declare(FunctionModel(_picky, text="body"))
    bench.run()
    missing, refused = why(bench, "1"), why(bench, "2")
    assert (missing.state, refused.state) == (RecordState.REJECTED, RecordState.REJECTED)
    assert refused.input is None
    assert missing.input is not None
    assert str(missing.input.refused).startswith("missing-text: ")
    bench.sql("UPDATE records SET body = 'mended' WHERE id = 1")
    mended = why(bench, "1").input
    assert mended is not None
    assert (mended.refused, mended.unknown, mended.now is None) == (None, None, False)


def test_a_rejected_record_that_was_deleted_cannot_be_tried_again(bench: Bench) -> None:
    """So no advice is given."""
    bench.insert(1)
    bench.declare()
    run_id, _ = bench.planned()
    bench.ledger.shards.commit(bench.claim(run_id), batch_of(rejected=[1]))
    bench.sql("DELETE FROM records")
    step = why(bench, "1")
    assert (step.state, step.in_source, step.next) == (RecordState.REJECTED, False, None)

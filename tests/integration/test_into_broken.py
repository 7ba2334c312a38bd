"""An author breaks or locks the table of a step: its own run says so and ends, and nobody else is held up."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.run.exported import Wanted
from batchord.core.run.messages import StepEnded
from batchord.core.run.runs import RunState
from batchord.flow.drive.finish import finish_step
from batchord.flow.predict.shard import predict_shard
from batchord.flow.upkeep.audit import audit
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, length
from tests.integration.into_parts import MOODS

#: What the author does, what is said of it where the table is read, and how it is taken back.
_BROKEN = {
    "table": (
        "ALTER TABLE moods RENAME TO feelings",
        "was renamed or dropped (public.moods): give it its name back",
        "ALTER TABLE feelings RENAME TO moods",
    ),
    "column": (
        "ALTER TABLE moods RENAME label TO mood",
        "from public.moods: PostgreSQL says: column row.label does not exist",
        "ALTER TABLE moods RENAME mood TO label",
    ),
    "key": (
        "ALTER TABLE moods RENAME id TO note",
        "from public.moods: PostgreSQL says: column row.id does not exist",
        "ALTER TABLE moods RENAME note TO id",
    ),
    "right": (
        "REVOKE SELECT ON moods FROM batchord_author",
        "from public.moods: PostgreSQL says: permission denied for table moods",
        "GRANT SELECT ON moods TO batchord_author",
    ),
}
_OF_THE_ROW = {what: _BROKEN[what] for what in ("table", "column", "right")}
_OF_THE_KEY = {what: _BROKEN[what] for what in ("table", "key")}


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Parts over one test's database, with a table of the author's and two records."""
    with Bench(database_url, tmp_path) as bench:
        bench.sql(MOODS)
        bench.insert(2)
        bench.declare(into="moods")
        yield bench


@pytest.mark.parametrize("what", _BROKEN)
def test_other_steps_get_their_tables_meanwhile(bench: Bench, what: str) -> None:
    """The views show the author's table again from the next plan on that finds it as it was."""
    made, _, undone = _BROKEN[what]
    assert bench.run().predicted == 2
    bench.sql(made)
    bench.catalog.pipelines["others"] = Pipeline("others", steps=[Predict(STEP, source=RECORDS, model=length)])
    assert bench.run("others").predicted == 2
    bench.sql(undone)
    bench.insert(1)
    assert bench.run().predicted == 1
    bench.catalog.pipelines.pop("others")
    assert sorted(bench.outcomes()) == ["1", "2", "3"]


@pytest.mark.parametrize(("made", "words", "undone"), _OF_THE_ROW.values(), ids=_OF_THE_ROW)
def test_a_run_ends_although_its_rows_cannot_be_counted(bench: Bench, made: str, words: str, undone: str) -> None:
    """Its predictions stay, and the next run finds nothing to do."""
    run_id = _worked(bench)
    bench.sql(made)
    run = bench.run_on(run_id, [StepEnded(run_id=run_id, step=STEP)])
    assert (run.state, run.predicted) == (RunState.PARTIAL, 2)
    assert run.error is not None
    assert words in run.error
    bench.sql(undone)
    assert bench.run().discovered == 0
    bench.assert_exactly_once()


def test_a_run_whose_table_is_locked_ends_later_and_waits_for_nobody(bench: Bench) -> None:
    """Its message comes again: who waits here holds a thread of the control worker."""
    run_id = _worked(bench)
    with psycopg.connect(bench.url) as author:
        author.execute("LOCK TABLE moods IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TransientError, match="lock timeout"):
            finish_step(bench.parts(), run_id=run_id, step=STEP)
    assert bench.run_on(run_id, [StepEnded(run_id=run_id, step=STEP)]).state is RunState.SUCCEEDED


@pytest.mark.parametrize(("made", "words", "undone"), _OF_THE_KEY.values(), ids=_OF_THE_KEY)
def test_a_plan_and_an_audit_say_what_they_cannot_read(bench: Bench, made: str, words: str, undone: str) -> None:
    """Nothing is taken for missing: the ledger does not know what has been predicted."""
    assert bench.run().predicted == 2
    bench.sql(made)
    bench.insert(1)
    failed = bench.run()
    assert failed.error is not None
    assert words in failed.error
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert words in found.not_audited[STEP]
    assert found.missing == 0
    bench.sql(undone)
    assert bench.run().predicted == 1
    bench.assert_exactly_once()


@pytest.mark.parametrize(("made", "words", "undone"), _OF_THE_KEY.values(), ids=_OF_THE_KEY)
def test_whoever_asks_for_predictions_hears_which_table_is_broken(
    bench: Bench, made: str, words: str, undone: str
) -> None:
    """An export and the story of a record: nobody is sent to `batchord migrate`, which would not help."""
    assert bench.run().predicted == 2
    bench.sql(made)
    with pytest.raises(ConfigurationError) as of_the_record:
        bench.ledger.provenance.outcomes(ITEMS, STEP, ["1"])
    wanted = Wanted(pipeline=ITEMS, step=STEP, since=None, where="score > 0")
    with pytest.raises(ConfigurationError) as of_the_export, bench.ledger.exports.reading(wanted):
        pass
    for raised in (of_the_record, of_the_export):
        assert words.split(":", maxsplit=1)[0] in str(raised.value)
    bench.sql(undone)
    assert len(bench.ledger.provenance.outcomes(ITEMS, STEP, ["1"])) == 1


def test_a_reset_says_which_table_is_gone(bench: Bench) -> None:
    """It would leave the predictions there."""
    assert bench.run().predicted == 2
    made, words, _ = _BROKEN["table"]
    bench.sql(made)
    with pytest.raises(ConfigurationError) as raised:
        bench.ledger.resets.results(ITEMS)
    assert words in str(raised.value)


def _worked(bench: Bench) -> str:
    """A run whose only shard is done, and whose step nobody has ended yet."""
    run_id, _ = bench.planned(parallelism=1)
    predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    return run_id

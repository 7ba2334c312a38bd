"""People name a run by the beginning of its id, or by its pipeline."""

from datetime import UTC, datetime, timedelta

import pytest

from batchord.core.errors import ConfigurationError
from batchord.core.run.run_ids import first_run_id
from batchord.core.run.runs import Kind, NewRun
from batchord.flow.drive.cancel import cancel_run
from batchord.reports.run_names import open_run_named, run_named, short_id, short_ids
from tests.integration.flow_parts import ITEMS, Bench

HOUR = timedelta(hours=1)
LONG_AGO = datetime(2026, 3, 1, 12, tzinfo=UTC)


def opened_at(bench: Bench, moment: datetime, pipeline: str = "old", state: str = "succeeded") -> str:
    """The id of a run that was opened at that time."""
    run_id = first_run_id(moment)
    bench.sql(
        "INSERT INTO batchord.runs (id, pipeline, kind, trigger, state, created_at) "
        "VALUES (%s, %s, 'manual', 'call', %s, %s)",
        run_id,
        pipeline,
        state,
        moment,
    )
    return run_id


def test_a_run_is_found_by_the_beginning_of_its_id(bench: Bench) -> None:
    """In capitals and without hyphens, too; what fits none says so."""
    run_id = opened_at(bench, LONG_AGO)
    opened_at(bench, LONG_AGO + HOUR)

    for name in (run_id, run_id[:8], run_id[:10].upper(), run_id[:13], run_id.replace("-", ""), f" {run_id} "):
        assert run_named(bench.ledger, name).id == run_id, name
    for name in ("zzz", "0123", f"{run_id}0", "-", "no-such-pipeline"):
        with pytest.raises(ConfigurationError, match=rf"There is no run {name}\. `batchord runs` lists the runs"):
            run_named(bench.ledger, name)
    with pytest.raises(ConfigurationError, match="id is empty"):
        run_named(bench.ledger, " ")


def test_an_ambiguous_beginning_lists_its_runs(bench: Bench) -> None:
    """Each in a form that is not ambiguous, the newest first, and not more than ten."""
    first, second = opened_at(bench, LONG_AGO), opened_at(bench, LONG_AGO + HOUR, "other", "failed")
    listed = f"{second[:8]} (other, failed), {first[:8]} (old, succeeded). Give more characters."
    with pytest.raises(ConfigurationError) as raised:
        run_named(bench.ledger, first[:4])
    assert str(raised.value) == f"Several runs begin with {first[:4]}: {listed}"
    for number in range(10):
        opened_at(bench, LONG_AGO - number * HOUR - HOUR)
    with pytest.raises(ConfigurationError, match=r" and more\. Give more characters"):
        run_named(bench.ledger, first[:3])


def test_a_short_id_is_as_short_as_it_is_unique(bench: Bench) -> None:
    """Eight characters are enough for a run of an hour ago; runs of one minute need more."""
    alone, first = opened_at(bench, LONG_AGO), opened_at(bench, LONG_AGO + HOUR)
    second = opened_at(bench, LONG_AGO + HOUR + timedelta(milliseconds=2))
    ids = short_ids(bench.ledger, [alone, first, second, None])

    assert ids[alone] == alone[:8]
    assert len(ids[first]) == len(ids[second]) > 8
    for run_id, short in ids.items():
        assert run_id.startswith(short)
        assert not short.endswith("-")
        assert run_named(bench.ledger, short).id == run_id
    assert short_ids(bench.ledger, []) == {}


def test_a_run_that_is_opened_later_makes_no_short_id_ambiguous(bench: Bench) -> None:
    """Ids of one minute begin alike: the id of a new run is printed longer at once."""
    bench.declare()
    run = bench.run()
    short = short_id(bench.ledger, run.id)
    for _ in range(3):
        bench.run()
    assert run_named(bench.ledger, short).id == run.id


def test_a_pipelines_name_stands_for_its_newest_run(bench: Bench) -> None:
    """A skipped run did nothing: it counts only if there is no other."""
    skipped = opened_at(bench, LONG_AGO, "news", "skipped")
    assert run_named(bench.ledger, "news").id == skipped
    run_id = opened_at(bench, LONG_AGO + HOUR, "news", "failed")
    opened_at(bench, LONG_AGO + 2 * HOUR, "news", "skipped")
    assert run_named(bench.ledger, "news").id == run_id


def test_a_pipeline_without_a_run_is_told_from_a_wrong_name(bench: Bench) -> None:
    """The ledger has seen it."""
    bench.ledger.pipelines.standings(["fresh"])
    with pytest.raises(ConfigurationError, match=r"The pipeline fresh has no run yet\. Start one with"):
        run_named(bench.ledger, "fresh")


def test_a_name_wins_over_the_beginning_of_an_id(bench: Bench) -> None:
    """The id can be written with more characters; a whole id is an id, whatever pipelines are called."""
    run_id = opened_at(bench, LONG_AGO)
    named = opened_at(bench, LONG_AGO + HOUR, run_id[:4])
    assert run_named(bench.ledger, run_id[:4]).id == named
    assert run_named(bench.ledger, run_id[:8]).id == run_id
    opened_at(bench, LONG_AGO + 2 * HOUR, run_id)
    assert run_named(bench.ledger, run_id).id == run_id


def test_what_is_cancelled_by_name_is_the_open_run(bench: Bench) -> None:
    """If several are open, a person must say which; if none is, it is the newest."""
    bench.declare()
    first = bench.started()
    assert open_run_named(bench.ledger, ITEMS).id == first.id
    queued = bench.ledger.runs.open(NewRun(pipeline=ITEMS, kind=Kind.MANUAL, trigger="call")).run
    with pytest.raises(ConfigurationError, match=r"items has several open runs: .*\(items, running\), .*\(items, queu"):
        open_run_named(bench.ledger, ITEMS)
    assert open_run_named(bench.ledger, first.id).id == first.id
    for run in (first, queued):
        cancel_run(bench.parts(), run_id=run.id)
    assert open_run_named(bench.ledger, ITEMS).id == queued.id

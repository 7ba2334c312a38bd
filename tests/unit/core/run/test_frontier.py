"""The rules by which the frontier moves, one by one.

That they lose nothing together is proved by simulation, in ``tests/unit/flow/predict/test_discovery.py``.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchord.core.run.frontier import MAX_CANDIDATES, Candidate, Frontier, Sighting
from batchord.core.run.records import Position

_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_NOTHING: frozenset[str] = frozenset()


def _at(number: int) -> Position:
    return Position(arrival=None, key=number)


def _sighting(
    run_id: str, *running: str, prepared: tuple[str, ...] = (), seconds: float = 0, settle: timedelta | None = None
) -> Sighting:
    """What a run sees before it scans; ``running`` includes what is prepared, as sources give it."""
    return Sighting(
        run_id=run_id,
        running=frozenset(running) | frozenset(prepared),
        prepared=frozenset(prepared),
        now=_NOON + timedelta(seconds=seconds),
        settle=settle,
    )


def _settle(
    frontier: Frontier, sighting: Sighting, *, accounted: tuple[str, ...] = (), failed: tuple[str, ...] = ()
) -> Frontier:
    return frontier.settle(
        sighting, accounted_runs=frozenset(accounted), ended_runs=frozenset(accounted) | frozenset(failed)
    )


def test_a_quiet_source_settles_as_soon_as_the_run_is_done() -> None:
    """With nothing open during the scan, its own run saw every record at or below B."""
    frontier = Frontier().propose(_at(10), _sighting("r1"))

    assert _settle(frontier, _sighting("r2")).position is None
    assert _settle(frontier, _sighting("r2"), accounted=("r1",)) == Frontier(position=_at(10))


def test_the_end_of_a_late_transaction_is_not_enough() -> None:
    """The first scan did not see its records, so the next scan must still start below them."""
    frontier = Frontier().propose(_at(10), _sighting("r1", "vx:1"))

    second = _settle(frontier, _sighting("r2"), accounted=("r1",))
    third = _settle(second, _sighting("r3"), accounted=("r1", "r2"))

    assert second.position is None
    assert third.position == _at(10)


def test_a_transaction_that_still_runs_is_waited_for() -> None:
    """However many runs are done meanwhile; later transactions do not matter."""
    frontier = Frontier().propose(_at(10), _sighting("r1", "vx:1", "vx:2"))

    for run in range(2, 6):
        frontier = _settle(frontier, _sighting(f"r{run}", "vx:2", f"vx:{run + 10}"), accounted=("r1", "r2", "r3", "r4"))

    assert frontier.position is None
    assert frontier.candidates[0].transactions == {"vx:2"}


def test_a_run_that_fails_leaves_its_candidate_to_the_next_scan() -> None:
    """The next scan starts as low, sees all of it again, and its run accounts for it."""
    frontier = Frontier().propose(_at(10), _sighting("r1"))

    second = _settle(frontier, _sighting("r2"), failed=("r1",))
    third = _settle(second, _sighting("r3"), failed=("r1",), accounted=("r2",))

    assert second.position is None
    assert third.position == _at(10)


def test_a_run_that_is_at_work_is_waited_for() -> None:
    """The run has neither accounted for its candidate nor ended, so no other run takes it."""
    frontier = Frontier().propose(_at(10), _sighting("r1"))

    assert _settle(frontier, _sighting("r2")) == frontier


def test_the_newest_settled_candidate_wins() -> None:
    """Older ones are obsolete; a newer one that still waits is kept."""
    frontier = (
        Frontier()
        .propose(_at(10), _sighting("r1"))
        .propose(_at(20), _sighting("r2"))
        .propose(_at(30), _sighting("r3", "vx:9"))
    )

    settled = _settle(frontier, _sighting("r4", "vx:9"), accounted=("r1", "r2", "r3"))

    assert settled.position == _at(20)
    assert [candidate.position for candidate in settled.candidates] == [_at(30)]


def test_an_older_candidate_does_not_hold_a_newer_one_back() -> None:
    """A position below another needs no proof of its own."""
    frontier = Frontier().propose(_at(10), _sighting("r1", "vx:1")).propose(_at(20), _sighting("r2"))

    assert _settle(frontier, _sighting("r3", "vx:1"), accounted=("r1", "r2")) == Frontier(position=_at(20))


def test_a_session_that_vanished_may_have_become_a_prepared_transaction() -> None:
    """Nobody can tell which: all that are prepared are waited for in its place."""
    frontier = Frontier().propose(_at(10), _sighting("r1", "vx:1"))

    frontier = _settle(frontier, _sighting("r2", prepared=("px:5", "px:6")), accounted=("r1",))

    assert frontier.candidates[0].transactions == {"px:5", "px:6"}
    assert frontier.candidates[0].scanned_by is None


def test_a_server_that_is_never_without_prepared_transactions_does_not_hold_the_frontier_for_ever() -> None:
    """A prepared transaction keeps its name: once gone it is over, and newer ones do not take its place."""
    frontier = Frontier().propose(_at(10), _sighting("r1", "vx:1"))
    done: tuple[str, ...] = ("r1",)

    for run in range(2, 6):
        frontier = _settle(frontier, _sighting(f"r{run}", prepared=(f"px:{run}", f"px:{run + 1}")), accounted=done)
        done = (*done, f"r{run}")

    assert frontier.position == _at(10)


def test_settling_by_the_clock_takes_its_time_and_one_more_scan() -> None:
    """Until B is older than settle= a record may appear; the scan after that sees it."""
    settle = timedelta(seconds=30)
    frontier = Frontier().propose(_at(10), _sighting("r1", settle=settle))

    early = _settle(frontier, _sighting("r2", seconds=29.9, settle=settle), accounted=("r1",))
    due = _settle(early, _sighting("r3", seconds=30, settle=settle), accounted=("r1", "r2"))
    after = _settle(due, _sighting("r4", seconds=31, settle=settle), accounted=("r1", "r2", "r3"))

    assert [each.position for each in (early, due, after)] == [None, None, _at(10)]


def test_a_scan_that_ended_early_covers_no_candidate() -> None:
    """It did not get as far: another scan must; those of other runs stay as they are."""
    frontier = Frontier().propose(_at(10), _sighting("r1")).propose(_at(20), _sighting("r2", "vx:1"))
    handed = _settle(frontier, _sighting("r3"), accounted=())

    assert [candidate.scanned_by for candidate in handed.candidates] == ["r1", "r3"]
    assert [candidate.scanned_by for candidate in handed.unscanned("r3").candidates] == ["r1", None]


def test_candidates_are_bounded_and_still_settle() -> None:
    """A transaction that stays open for days fills the row, and empties it when it ends."""
    frontier = Frontier()
    for run in range(3 * MAX_CANDIDATES):
        frontier = frontier.propose(_at(run), _sighting(f"r{run}", "vx:1"))
    assert len(frontier.candidates) == MAX_CANDIDATES
    assert frontier.candidates[-1].position == _at(3 * MAX_CANDIDATES - 1)

    handed = _settle(frontier, _sighting("next"))
    settled = _settle(handed, _sighting("last"), accounted=("next",))

    assert settled == Frontier(position=_at(3 * MAX_CANDIDATES - 1))


def test_when_there_are_too_many_candidates_the_oldest_stay() -> None:
    """They are the closest to their end: sessions that overlap for ever must not starve the frontier."""
    frontier = Frontier()
    done: tuple[str, ...] = ()

    for run in range(3 * MAX_CANDIDATES):
        # Each transaction outlasts twice as many runs as candidates are kept, and a new one begins at each.
        running = [f"vx:{number}" for number in range(run - 2 * MAX_CANDIDATES, run + 1)]
        frontier = _settle(frontier, _sighting(f"r{run}", *running), accounted=done)
        frontier = frontier.propose(_at(run), _sighting(f"r{run}", *running))
        done = (*done, f"r{run}")

    assert frontier.position is not None


@given(
    st.builds(
        Candidate,
        position=st.builds(
            Position, arrival=st.none() | st.datetimes(timezones=st.just(UTC)), key=st.integers() | st.uuids()
        ),
        transactions=st.frozensets(st.text(max_size=5), max_size=3),
        seen_at=st.datetimes(timezones=st.just(UTC)),
        scanned_by=st.none() | st.text(max_size=5),
    )
)
def test_a_candidate_comes_back_from_json_as_it_was(candidate: Candidate) -> None:
    """The ledger keeps candidates as JSON from run to run."""
    assert Candidate.from_json(json.loads(json.dumps(candidate.to_json()))) == candidate


@pytest.mark.parametrize("frontier", [Frontier(), Frontier(position=_at(3))])
def test_without_candidates_nothing_moves(frontier: Frontier) -> None:
    """The first run of all, and one after a source that was empty."""
    assert _settle(frontier, _sighting("r1", "vx:1")) == frontier

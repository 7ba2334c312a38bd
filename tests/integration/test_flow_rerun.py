"""A run that has ended is taken up again: all of it, from a step on, or what failed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchord import Branch, FunctionModel, Python
from batchord.core.calendar.schedules import every
from batchord.core.errors import ConfigurationError, UnknownPipeline
from batchord.core.run.runs import Run, RunState
from batchord.flow.begin.rerun import rerun
from batchord.flow.begin.start import tick
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.upkeep.reset import reset
from tests.integration.flow_parts import ITEMS, STEP, Bench
from tests.integration.graph_parts import Calls, declare_graph, error, opened, ran, scoring, states, value

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Six records."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(6)
        yield bench


@pytest.fixture
def calls() -> Calls:
    """What was called in this test."""
    return Calls()


def again(bench: Bench, run_id: str, **how: Any) -> Run:
    """A rerun, worked off."""
    run, messages = rerun(bench.parts(), run_id=run_id, **how)
    return bench.run_on(run.id, messages)


def broken(bench: Bench, calls: Calls) -> str:
    """A run of a → b → c in which b failed; it would not fail again."""
    attempts: list[int] = []

    def mended(run: Any) -> str:
        calls.made.append("b")
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("it broke")
        return f"b after {run['a'].value}"

    def read(run: Any) -> str:
        calls.made.append("c")
        return f"c after {run['b'].value}, {run['a'].value}"

    declare_graph(
        bench, calls.step("a", returns="a"), Python("b", mended, after=["a"]), Python("c", read, after=["a", "b"])
    )
    run = ran(bench)
    assert run.state is RunState.FAILED
    calls.made.clear()
    return run.id


def test_all_of_a_run_is_repeated(bench: Bench, calls: Calls) -> None:
    """As a new run, which names the old one; the old one stays as it was."""
    old = broken(bench, calls)
    before = bench.ledger.runs.get(old)
    run = again(bench, old)
    assert (run.state, run.kind, run.trigger, run.rerun_of) == (RunState.SUCCEEDED, "rerun", "rerun", old)
    assert calls.made == ["a", "b", "c"]
    assert bench.ledger.runs.get(old) == before
    assert states(bench, old) == {"a": "done", "b": "failed", "c": "upstream_failed"}


@pytest.mark.parametrize("how", [{"failed": True}, {"from_step": "b"}])
def test_what_is_not_repeated_hands_on_what_it_came_to(bench: Bench, calls: Calls, how: dict[str, Any]) -> None:
    """Steps that failed, or from one on, and all behind them; the others count as done, without an attempt."""
    run = again(bench, broken(bench, calls), **how)
    assert (run.state, calls.made) == (RunState.SUCCEEDED, ["b", "c"])
    assert value(bench, run.id, "c") == "c after b after a, a"
    assert bench.sql("SELECT name, reused, attempt FROM batchord.steps WHERE run_id = %s ORDER BY ordinal", run.id) == [
        ("a", True, 0),
        ("b", False, 1),
        ("c", False, 1),
    ]


def test_a_rerun_can_be_taken_up_in_turn(bench: Bench, calls: Calls) -> None:
    """The results that it took over are taken over again."""
    first = again(bench, broken(bench, calls), failed=True)
    second = again(bench, first.id, from_step="c")
    assert (second.state, calls.made) == (RunState.SUCCEEDED, ["b", "c", "c"])
    assert value(bench, second.id, "c") == "c after b after a, a"
    assert second.rerun_of == first.id


def test_a_failure_elsewhere_stays_one(bench: Bench, calls: Calls) -> None:
    """It is taken over with its error, and the new run fails for it."""
    declare_graph(bench, calls.failing("bad"), calls.step("behind", "bad"), calls.step("fine"))
    run = again(bench, ran(bench).id, from_step="fine")
    assert calls.made == ["bad", "fine", "fine"]
    assert (run.state, run.error) == (RunState.FAILED, "step bad: ValueError: it broke")
    assert error(bench, run.id, "bad") == "ValueError: it broke"
    assert states(bench, run.id) == {"bad": "failed", "behind": "upstream_failed", "fine": "done"}


def test_a_step_behind_a_failure_cannot_run_alone(bench: Bench, calls: Calls) -> None:
    """It would be stopped at once; which step is to blame, and the command that helps, are named."""
    declare_graph(
        bench,
        calls.failing("bad"),
        calls.step("middle", "bad"),
        calls.step("last", "middle"),
        calls.step("clean-up", "last", join="always"),
    )
    old = ran(bench).id
    for step in ("middle", "last"):
        with pytest.raises(
            ConfigurationError, match=rf"{step} of run {old[:8]}\S* .*bad before it failed.*--from bad`.*--fail"
        ):
            rerun(bench.parts(), run_id=old, from_step=step)
    assert bench.value("SELECT count(*) FROM batchord.runs") == 1
    assert again(bench, old, from_step="clean-up").state is RunState.FAILED
    assert calls.made == ["bad", "clean-up", "clean-up"]


def test_a_way_that_was_not_taken_cannot_run_alone(bench: Bench, calls: Calls) -> None:
    """The branch's choice is taken over too: it must choose anew."""
    declare_graph(
        bench,
        Branch("which", lambda: "left"),
        calls.step("left", "which"),
        calls.step("right", "which"),
        calls.step("far-right", "right"),
        calls.step("meeting", "left", "far-right"),
    )
    old = ran(bench).id
    for step in ("right", "far-right"):
        with pytest.raises(
            ConfigurationError, match=rf"{step} of run .* which before it chose another way.*--from which`"
        ):
            rerun(bench.parts(), run_id=old, from_step=step)
    again(bench, old, from_step="meeting")
    again(bench, old, from_step="left")
    assert calls.made == ["left", "meeting", "meeting", "left", "meeting"]


def test_a_branch_chooses_anew(bench: Bench, calls: Calls) -> None:
    """What was skipped in the old run runs in the new one, and the other way round."""
    chosen = ["left"]
    branch = Branch("which", lambda: chosen)
    declare_graph(bench, branch, calls.step("left", "which"), calls.step("right", "which"))
    old = ran(bench).id
    chosen[:] = ["right"]
    run = again(bench, old, from_step="which")
    assert states(bench, run.id) == {"which": "done", "left": "skipped", "right": "done"}
    assert calls.made == ["left", "right"]


def test_only_what_has_ended_is_taken_up(bench: Bench, calls: Calls) -> None:
    """A run at work would do it at the same time."""
    declare_graph(bench, calls.step("a"))
    run_id, messages = opened(bench)
    with pytest.raises(ConfigurationError, match=r"is running\. Wait for its end, or end it with `batchord cancel"):
        rerun(bench.parts(), run_id=run_id)
    bench.run_on(run_id, messages)
    with pytest.raises(
        ConfigurationError, match=r"No step of run .* failed\. To repeat the whole run, leave out --failed"
    ):
        rerun(bench.parts(), run_id=run_id, failed=True)
    with pytest.raises(ConfigurationError, match=r"no step 'z'; there are: a"):
        rerun(bench.parts(), run_id=run_id, from_step="z")
    with pytest.raises(ConfigurationError, match="There is no run 00000000"):
        rerun(bench.parts(), run_id="00000000-0000-0000-0000-000000000000")
    bench.catalog.pipelines.clear()
    with pytest.raises(UnknownPipeline):
        rerun(bench.parts(), run_id=run_id)


def test_a_cancelled_run_goes_on_where_it_was(bench: Bench, calls: Calls) -> None:
    """Steps that had not ended by then count as failed."""
    declare_graph(bench, calls.step("a"), calls.step("b", "a"), calls.step("c", "b"))
    run_id, messages = opened(bench)
    bench.work(messages[0])
    cancel_run(bench.parts(), run_id=run_id)
    calls.made.clear()
    run = again(bench, run_id, failed=True)
    assert (run.state, calls.made) == (RunState.SUCCEEDED, ["c"])


def test_a_step_that_the_file_has_got_since_runs(bench: Bench, calls: Calls) -> None:
    """It has no result to take over. Finished steps behind it are not repeated."""
    old = broken(bench, calls)
    declare_graph(
        bench, calls.step("new"), calls.step("a"), calls.step("b", "a", "new", returns="b"), calls.step("c", "b")
    )
    run = again(bench, old, failed=True)
    assert (run.state, calls.made) == (RunState.SUCCEEDED, ["new", "b", "c"])


def test_a_step_that_has_left_the_file_is_left_out(bench: Bench, calls: Calls) -> None:
    """The steps that it had stopped can run now and count as failed steps."""
    old = broken(bench, calls)
    declare_graph(bench, calls.step("a"), calls.step("c", "a"))
    run = again(bench, old, failed=True)
    assert (run.state, calls.made) == (RunState.SUCCEEDED, ["c"])
    assert states(bench, run.id) == {"a": "done", "c": "done"}


def test_a_predict_step_takes_what_is_left(bench: Bench, calls: Calls) -> None:
    """Nothing is predicted twice: three records that had failed, and what has arrived since."""
    sick = [True]

    def model(frame: pd.DataFrame) -> Any:
        if sick[0] and 4 in frame.index:
            return frame["body"].str.len().iloc[:1]
        return frame["body"].str.len()

    declare_graph(bench, scoring(model=FunctionModel(model, version="1"), shard_rows=3), calls.step("after", STEP))
    old = ran(bench, parallelism=1)
    assert (old.state, old.predicted) == (RunState.PARTIAL, 3)
    sick[0] = False
    bench.insert(1)
    run = again(bench, old.id, failed=True)
    assert (run.state, run.predicted, calls.made) == (RunState.SUCCEEDED, 4, ["after"])
    assert again(bench, old.id).predicted == 0
    bench.assert_exactly_once()


def test_a_predict_step_that_is_not_repeated_keeps_its_summary(bench: Bench) -> None:
    """Later steps read its counts and shares as in the run that made them."""
    seen: list[int] = []

    def notify(run: Any) -> None:
        seen.append(run[STEP].predicted)
        if len(seen) == 1:
            raise ConnectionError("the mail server is away")

    declare_graph(bench, scoring(), Python("notify", notify, after=[STEP]))
    run = again(bench, ran(bench).id, failed=True)
    assert (run.state, run.predicted, seen) == (RunState.SUCCEEDED, 0, [6, 6])


def test_window_and_parameters_are_the_old_runs(bench: Bench) -> None:
    """However much later it is taken up: the work is for that time."""
    seen: list[Any] = []
    declare_graph(
        bench,
        Python("a", lambda run: seen.append((run.kind, run.window_start, run.window_end, dict(run.params)))),
        schedule=every(hours=1),
    )
    (old,), messages = tick(bench.parts(), pipeline=ITEMS, now=NOON)
    bench.run_on(old.id, messages)
    again(bench, old.id)
    window = (NOON - timedelta(hours=1), NOON)
    assert seen == [("scheduled", *window, {}), ("rerun", *window, {})]
    by_hand = ran(bench, params={"city": "Ulm"})
    run = again(bench, by_hand.id)
    assert (run.params, run.window_end) == ({"city": "Ulm"}, by_hand.window_end)


def test_a_run_that_was_skipped_can_be_made_up_for(bench: Bench, calls: Calls) -> None:
    """It has no steps: all of them run, in its window."""
    declare_graph(bench, calls.step("a"), schedule=every(hours=1))
    run_id, messages = opened(bench)
    (skipped,), _ = tick(bench.parts(), pipeline=ITEMS, now=NOON)
    assert skipped.state is RunState.SKIPPED
    bench.run_on(run_id, messages)
    run = again(bench, skipped.id)
    assert (run.state, run.window_end, calls.made) == (RunState.SUCCEEDED, NOON, ["a", "a"])


def test_one_request_is_one_rerun(bench: Bench, calls: Calls) -> None:
    """However often it is delivered; and it waits for a run that is at work."""
    old = broken(bench, calls)
    at_work, messages = opened(bench)
    first, none = rerun(bench.parts(), run_id=old, failed=True, request="7")
    second, _ = rerun(bench.parts(), run_id=old, failed=True, request="7")
    assert (first.id, first.state, none) == (second.id, RunState.QUEUED, [])
    bench.run_on(at_work, messages)
    assert bench.ledger.runs.get(first.id).state is RunState.SUCCEEDED


def test_a_step_that_was_reset_is_repeated_with_those_after_it(bench: Bench, calls: Calls) -> None:
    """Its predictions are gone: its end of then would be a lie."""
    declare_graph(bench, scoring(), calls.step("report", STEP), calls.step("other"))
    old = ran(bench)
    reset(bench.parts(), pipeline=ITEMS, steps=[STEP])
    calls.made.clear()
    run = again(bench, old.id, from_step="other")
    assert (run.state, run.predicted) == (RunState.SUCCEEDED, 6)
    assert sorted(calls.made) == ["other", "report"]
    calls.made.clear()
    assert again(bench, run.id, from_step="other").predicted == 0
    assert calls.made == ["other"]

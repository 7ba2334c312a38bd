"""A run's graph: which steps run, in which order, and how the others end."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from batchord import Branch, Python
from batchord.core.run.messages import RunEnded
from batchord.core.run.runs import RunState
from batchord.flow.drive.advance import advance
from batchord.flow.step.execute import execute_step
from tests.integration.flow_parts import ITEMS, STEP, Bench
from tests.integration.graph_parts import (
    Calls,
    declare_graph,
    error,
    history,
    opened,
    ran,
    scoring,
    sent_steps,
    states,
    value,
)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Six records with bodies of 1 to 6 letters."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(6)
        yield bench


@pytest.fixture
def calls() -> Calls:
    """What was called in this test."""
    return Calls()


def choosing(chosen: Any, *after: str) -> Branch:
    """A branch that always chooses so."""
    return Branch("which", lambda: chosen, after=after)


def test_steps_run_one_after_the_other(bench: Bench, calls: Calls) -> None:
    """In the order of the graph, not of the file; the run has succeeded."""
    names = ["e", "d", "c", "b", "a"]
    chain = [calls.step(name, *([before] if before else [])) for before, name in pairwise([None, *reversed(names)])]
    declare_graph(bench, *reversed(chain))
    run = ran(bench)
    assert (run.state, run.error) == (RunState.SUCCEEDED, None)
    assert calls.made == ["a", "b", "c", "d", "e"]
    assert states(bench, run.id) == dict.fromkeys(names, "done")


def test_what_may_run_at_once_is_sent_at_once(bench: Bench, calls: Calls) -> None:
    """Three paths split and join. The worker that ends last sends the last step, once."""
    middle = [calls.step(name, "first") for name in "abc"]
    declare_graph(bench, calls.step("first"), *middle, calls.step("last", "a", "b", "c"))
    run_id, messages = opened(bench)
    assert sent_steps(messages) == ["first"]
    messages = execute_step(bench.parts(), run_id=run_id, step="first")
    assert sent_steps(messages) == ["a", "b", "c"]
    assert [sent_steps(execute_step(bench.parts(), run_id=run_id, step=name)) for name in "cab"] == [[], [], ["last"]]
    (ended,) = execute_step(bench.parts(), run_id=run_id, step="last")
    assert ended == RunEnded(run_id=run_id, pipeline=ITEMS, state=RunState.SUCCEEDED)
    assert advance(bench.parts(), run_id=run_id) == []


def test_a_failure_stops_what_is_behind_it_and_nothing_else(bench: Bench, calls: Calls) -> None:
    """The other way goes on; where they meet nothing runs; the run names the step that failed."""
    declare_graph(
        bench,
        calls.failing("bad"),
        calls.step("good"),
        calls.step("behind-bad", "bad"),
        calls.step("behind-good", "good"),
        calls.step("meeting", "behind-bad", "behind-good"),
    )
    run = ran(bench)
    assert (run.state, run.error) == (RunState.FAILED, "step bad: ValueError: it broke")
    assert calls.made == ["bad", "good", "behind-good"]
    assert states(bench, run.id) == {
        "bad": "failed",
        "good": "done",
        "behind-bad": "upstream_failed",
        "behind-good": "done",
        "meeting": "upstream_failed",
    }
    assert history(bench, run.id, "meeting") == []


def test_a_failure_stops_later_steps_at_once(bench: Bench, calls: Calls) -> None:
    """A join does not wait for the path that still runs. The work of that path counts."""
    declare_graph(bench, calls.failing("bad"), calls.step("slow"), calls.step("meeting", "bad", "slow"))
    run_id, _ = opened(bench)
    assert execute_step(bench.parts(), run_id=run_id, step="bad") == []
    assert states(bench, run_id) == {"bad": "failed", "slow": "ready", "meeting": "upstream_failed"}
    execute_step(bench.parts(), run_id=run_id, step="slow")
    assert states(bench, run_id)["slow"] == "done"
    assert bench.ledger.runs.get(run_id).state is RunState.FAILED


def test_a_step_that_always_runs_cleans_up(bench: Bench, calls: Calls) -> None:
    """After a failure, when all before it are over; the run has failed all the same."""
    seen: dict[str, str] = {}

    def clean_up(run: Any) -> None:
        calls.made.append("clean-up")
        seen.update({name: run[name].state.value for name in run})

    declare_graph(
        bench,
        calls.failing("bad"),
        calls.step("behind", "bad"),
        Python("clean-up", clean_up, after=["behind"], join="always"),
        calls.step("after-all", "clean-up"),
    )
    run = ran(bench)
    assert calls.made == ["bad", "clean-up", "after-all"]
    assert seen == {"bad": "failed", "behind": "upstream_failed"}
    assert run.state is RunState.FAILED


@pytest.mark.parametrize(
    ("chosen", "made"),
    [
        ("left", ["left", "behind-left", "meeting"]),
        (["right"], ["right", "meeting"]),
        (("left", "right"), ["left", "right", "behind-left", "meeting"]),
        ([], []),
        ({"left"}, ["left", "behind-left", "meeting"]),
    ],
)
def test_a_branch_chooses_the_way(bench: Bench, calls: Calls, chosen: Any, made: list[str]) -> None:
    """It chooses one, several or none. The others, and steps that only follow them, are skipped. Nothing failed."""
    declare_graph(
        bench,
        choosing(chosen),
        calls.step("left", "which"),
        calls.step("right", "which"),
        calls.step("behind-left", "left"),
        calls.step("meeting", "behind-left", "right"),
    )
    run = ran(bench)
    assert (run.state, run.error) == (RunState.SUCCEEDED, None)
    assert sorted(calls.made) == sorted(made)
    skipped = {name for name, state in states(bench, run.id).items() if state == "skipped"}
    assert skipped == {"left", "right", "behind-left", "meeting"} - set(made)
    assert value(bench, run.id, "which") == ([chosen] if isinstance(chosen, str) else sorted(chosen))


def test_a_branch_may_jump_over_a_step(bench: Bench, calls: Calls) -> None:
    """A step right behind the branch that a chosen one leads to is not passed over."""
    declare_graph(bench, choosing("check"), calls.step("check", "which"), calls.step("publish", "which", "check"))
    run = ran(bench)
    assert calls.made == ["check", "publish"]
    assert run.state is RunState.SUCCEEDED


@pytest.mark.parametrize(
    "returned", ["no-such-step", ["left", "no-such-step"], None, 7, {"left": 1}, [["left"]], [None], "behind", b"left"]
)
def test_a_branch_that_chooses_what_it_may_not_has_failed(bench: Bench, calls: Calls, returned: Any) -> None:
    """The error names the possible choices. No path runs, and there is no other attempt."""
    declare_graph(
        bench, choosing(returned), calls.step("left", "which"), calls.step("behind", "left"), retry=None
    )  # fmt: skip
    run = ran(bench)
    assert run.state is RunState.FAILED
    assert "may only return one of left, or a list of some of them" in error(bench, run.id, "which")
    assert states(bench, run.id) == {"which": "failed", "left": "upstream_failed", "behind": "upstream_failed"}
    assert calls.made == []
    assert len(history(bench, run.id, "which")) == 1


def test_a_predict_step_waits_for_the_step_before_it(bench: Bench) -> None:
    """The records of that step are found and predicted. Later steps get counts and shares."""
    seen: dict[str, Any] = {}

    def notify(run: Any) -> None:
        seen.update(predicted=run[STEP].predicted, share=run[STEP].share("9"), missing=run[STEP].share("no such"))
        seen["parts"] = run[STEP]["discovered"]

    def labels(frame: Any) -> Any:
        return frame["body"].str.len().astype(str)

    declare_graph(
        bench,
        Python("load", lambda: bench.sql("INSERT INTO records (body) VALUES ('123456789'), ('123456789')")),
        scoring("load", model=labels),
        Python("notify", notify, after=[STEP]),
    )
    run = ran(bench)
    assert (run.state, run.predicted) == (RunState.SUCCEEDED, 8), run.error
    assert seen == {"predicted": 8, "share": 0.25, "missing": 0.0, "parts": 8}
    bench.assert_exactly_once()


def test_a_predict_step_that_nobody_chose_predicts_nothing(bench: Bench, calls: Calls) -> None:
    """It is skipped; the next run that chooses it loses nothing."""
    chosen = ["other"]
    branch = Branch("which", lambda: chosen)
    declare_graph(bench, branch, scoring("which"), calls.step("other", "which"))
    assert (ran(bench).predicted, bench.outcomes()) == (0, {})
    chosen[:] = [STEP]
    assert ran(bench).predicted == 6
    bench.assert_exactly_once()


def test_the_run_sums_up_its_predict_steps_alone(bench: Bench, calls: Calls) -> None:
    """What functions return may hold anything; it stays with the step."""
    declare_graph(bench, calls.step("first", returns={"secret": "of the step"}), scoring("first"))
    run = ran(bench)
    assert run.summary is not None
    assert list(run.summary["steps"]) == [STEP]
    assert (run.summary["discovered"], run.summary["predicted"], run.summary["pending"]) == (6, 6, 0)


def test_a_failure_after_all_is_predicted_is_no_partial_run(bench: Bench, calls: Calls) -> None:
    """Partial means that predictions are missing: here a message was not sent, and the run has failed."""
    declare_graph(bench, scoring(), calls.failing("notify", STEP))
    run = ran(bench)
    assert (run.state, run.predicted) == (RunState.FAILED, 6)
    assert "step notify" in (run.error or "")
    bench.assert_exactly_once()


def test_a_run_of_which_nothing_was_chosen_has_succeeded(bench: Bench, calls: Calls) -> None:
    """Skipped steps are no failures, and the run ends in the branch's own transaction."""
    declare_graph(bench, choosing([]), calls.step("left", "which"), calls.step("always", "which", join="always"))
    run = ran(bench)
    assert (run.state, calls.made) == (RunState.SUCCEEDED, ["always"])

"""Which steps of a graph may run, by the states of the steps before them."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchord.core.run.graph import Moves, cycle, downstream, moves, upstream
from batchord.core.run.runs import RunState, Step, StepState, state_at_end

DONE, FAILED, SKIPPED, STOPPED = StepState.DONE, StepState.FAILED, StepState.SKIPPED, StepState.UPSTREAM_FAILED
PENDING, RUNNING = StepState.PENDING, StepState.RUNNING


def step(
    name: str,
    state: StepState = PENDING,
    after: Sequence[str] = (),
    *,
    kind: str = "python",
    join: str = "all_done_ok",
    chosen: Sequence[str] | None = None,
) -> Step:
    """A step of a run."""
    output = None if chosen is None else {"chosen": list(chosen), "value": list(chosen)}
    return Step(
        run_id="r",
        name=name,
        after=tuple(after),
        state=state,
        attempt=0,
        error=None,
        kind=kind,
        join=join,
        output=output,
    )


def branch(name: str, *chosen: str, after: Sequence[str] = ()) -> Step:
    """A branch that has decided."""
    return step(name, DONE, after, kind="branch", chosen=chosen)


def test_steps_without_others_before_them_start_together() -> None:
    """Parallel where the graph allows."""
    assert moves([step("a"), step("b"), step("c", after=["a"])]) == Moves(ready=["a", "b"])


def test_a_step_waits_for_all_before_it() -> None:
    """Order is kept."""
    assert moves([step("a", DONE), step("b", RUNNING), step("c", after=["a", "b"])]) == Moves()
    assert moves([step("a", DONE), step("b", DONE), step("c", after=["a", "b"])]).ready == ["c"]


def test_a_failure_stops_what_is_behind_it_and_nothing_else() -> None:
    """All steps behind it are stopped at once, without waiting for the slow step beside it."""
    found = moves(
        [step("a", FAILED), step("slow", RUNNING), step("b", after=["a", "slow"]), step("c", after=["b"]), step("free")]
    )
    assert found == Moves(ready=["free"], upstream_failed=["b", "c"])


def test_what_is_behind_a_failure_does_not_run_for_another_that_went_well() -> None:
    """A step that a failure stopped counts as a failure for those behind it, not as skipped."""
    found = moves([step("a", FAILED), step("b", after=["a"]), step("good", DONE), step("join", after=["b", "good"])])
    assert found.upstream_failed == ["b", "join"]


def test_a_clean_up_runs_whatever_became_of_the_others() -> None:
    """join="always", but not before they are over."""
    graph = [step("a", FAILED), step("b", RUNNING), step("clean", after=["a", "b"], join="always")]
    assert moves(graph) == Moves()
    assert moves([graph[0], step("b", SKIPPED), graph[2]]).ready == ["clean"]


def test_a_branch_skips_what_it_did_not_choose() -> None:
    """Steps that only follow those are skipped as well."""
    found = moves(
        [
            branch("route", "left"),
            step("left", after=["route"]),
            step("right", after=["route"]),
            step("r2", after=["right"]),
        ]
    )
    assert found == Moves(ready=["left"], skipped=["right", "r2"])


def test_a_failure_counts_more_than_a_branch_that_chose_otherwise() -> None:
    """Whichever comes first: what is passed over waits for the others before it, and is stopped by their failure."""
    after = [step("x", after=["route", "other"]), step("y", after=["x"])]
    assert moves([branch("route"), step("other", RUNNING), *after]) == Moves()
    assert moves([branch("route"), step("other", FAILED), *after]).upstream_failed == ["x", "y"]
    assert moves([branch("route"), step("other", DONE), *after]).skipped == ["x", "y"]


def test_ways_join_again_behind_a_branch() -> None:
    """One way that was gone is enough, once the other is skipped."""
    join = step("join", after=["left", "right"])
    before = [branch("route", "left"), step("right", SKIPPED, ["route"])]
    assert moves([*before, step("left", RUNNING, ["route"]), join]) == Moves()
    assert moves([*before, step("left", DONE, ["route"]), join]).ready == ["join"]


def test_what_a_chosen_step_leads_to_is_not_skipped() -> None:
    """A step right behind the branch and behind the chosen one as well."""
    found = moves([branch("route", "work"), step("work", DONE, ["route"]), step("report", after=["route", "work"])])
    assert found.ready == ["report"]


def test_a_branch_may_choose_nothing_and_never_passes_over_a_clean_up() -> None:
    """Then all is skipped, but for what always runs."""
    found = moves([branch("route"), step("a", after=["route"]), step("clean", after=["route"], join="always")])
    assert found == Moves(ready=["clean"], skipped=["a"])


def test_a_step_whose_ways_were_all_skipped_is_skipped() -> None:
    """At least one of the steps before it must have run."""
    assert moves([step("a", SKIPPED), step("b", SKIPPED), step("c", after=["a", "b"])]).skipped == ["c"]


@pytest.mark.parametrize(
    ("steps", "predicted", "state"),
    [
        ([step("a", DONE), step("b", SKIPPED)], 0, RunState.SUCCEEDED),
        ([step("a", FAILED, kind="predict")], 5, RunState.PARTIAL),
        ([step("a", FAILED, kind="predict")], 0, RunState.FAILED),
        ([step("a", DONE, kind="predict"), step("b", FAILED)], 5, RunState.FAILED),
        ([step("a", FAILED), step("clean", DONE, join="always")], 0, RunState.FAILED),
    ],
)
def test_the_end_of_a_run(steps: list[Step], predicted: int, state: RunState) -> None:
    """Partial is only what lacks predictions and nothing else."""
    assert state_at_end(steps, predicted=predicted) is state


def test_cycles_are_found_by_name() -> None:
    """The steps in the cycle are named, and those behind it, which would also wait for ever."""
    assert cycle({"a": ["b"], "b": ["a"], "c": ["a"], "d": []}) == ["a", "b", "c"]
    assert cycle({"a": [], "b": ["a", "gone"]}) == []


@st.composite
def _graphs(draw: st.DrawFn) -> list[Step]:
    """Graphs of up to eight steps, each behind any of those before it."""
    steps: list[Step] = []
    for number in range(draw(st.integers(1, 8))):
        after = draw(st.lists(st.sampled_from(steps), unique_by=lambda each: each.name)) if steps else []
        kind = draw(st.sampled_from(["python", "branch"]))
        join = draw(st.sampled_from(["all_done_ok", "all_done_ok", "always"]))
        steps.append(step(f"s{number}", after=[each.name for each in after], kind=kind, join=join))
    return steps


@given(graph=_graphs(), data=st.data())
def test_every_graph_comes_to_its_end(graph: list[Step], data: st.DataObject) -> None:
    """Whatever fails and whatever is chosen: no step waits for ever, none starts before those it waits for."""
    steps = {each.name: each for each in graph}
    after = {name: each.after for name, each in steps.items()}
    while True:
        found = moves(list(steps.values()))
        for names, state in ((found.skipped, SKIPPED), (found.upstream_failed, STOPPED)):
            for name in names:
                steps[name] = step(name, state, after[name], kind=steps[name].kind, join=steps[name].join)
        if not found.ready:
            break
        name = data.draw(st.sampled_from(found.ready))
        ready = steps[name]
        assert all(steps[before].state.over for before in ready.after)
        if ready.join == "all_done_ok":
            assert not any(
                steps[before].state in (FAILED, STOPPED)
                for before in upstream(after, name)
                if not _cleans(steps, before, name)
            )
        choices = [other for other, before in after.items() if name in before]
        chosen = data.draw(st.lists(st.sampled_from(choices), unique=True)) if choices else []
        state = data.draw(st.sampled_from([DONE, DONE, FAILED]))
        decided = chosen if ready.kind == "branch" and state is DONE else None
        steps[name] = step(name, state, ready.after, kind=ready.kind, join=ready.join, chosen=decided)
    assert all(each.state.over for each in steps.values())


def _cleans(steps: dict[str, Step], failed: str, name: str) -> bool:
    """Whether every way from ``failed`` to ``name`` leads through a step that always runs."""
    after = {each.name: each.after for each in steps.values() if each.join != "always"}
    return failed == name or name not in downstream(after, [failed])

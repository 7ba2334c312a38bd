"""Drills of graphs: a crash at any point loses no step, and runs no finished one again."""

import pytest

from tests.drills.drill import Drill
from tests.drills.graph import ONCE, GraphDrill

#: What a step says that may have run, and must not run twice.
_MAY_HAVE_RUN = "how much of it was done is not known"
_TASKS = tuple(ONCE)


@pytest.fixture
def graph(drill: Drill) -> GraphDrill:
    """The pipeline with a step of every kind."""
    return GraphDrill(drill)


def _everywhere(point: str, *, action: str = "kill") -> dict[str, str]:
    return {"worker": ";".join(f"{point}:{step}={action}" for step in _TASKS)}


def test_steps_whose_children_die_before_they_begin_are_executed_once(graph: GraphDrill) -> None:
    """Each step's first attempt ends so; nothing of it was done, so that each may be executed again."""
    graph.cluster.start("control", "worker", "beat", faults=_everywhere("before-step-begin"))
    graph.drill.run()
    graph.drill.settle(timeout=60)
    graph.check()
    assert [graph.attempts(step) for step in _TASKS] == [2] * len(_TASKS)


@pytest.mark.parametrize(
    ("point", "again", "told"),
    [("before-step-work", 1, 0), ("after-step-work", 2, 1), ("before-step-end", 2, 1)],
)
def test_steps_whose_children_die_over_them_are_repeated_where_they_may_be(
    graph: GraphDrill, point: str, again: int, told: int
) -> None:
    """Sql happens once all the same; a command that is not idempotent has failed, and says why."""
    graph.cluster.start("control", "worker", "beat", faults=_everywhere(point))
    graph.drill.run()
    graph.drill.settle(timeout=60)
    repeated = dict.fromkeys(("prepare", "choose", "again", "close"), again)
    graph.check(run="failed", states={"tell": "failed"}, traces={**repeated, "tell": told})
    assert _MAY_HAVE_RUN in graph.error("tell")
    assert [graph.attempts(step) for step in _TASKS] == [2] * len(_TASKS)

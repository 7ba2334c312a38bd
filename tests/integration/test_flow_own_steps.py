"""What a kind of step that is declared outside of Batchord may do: choose, leave a value behind, see its context."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from batchord import Choice, Python, StepContext, StepError, TaskStep
from batchord.core.errors import LeaseLost
from batchord.core.run.runs import RunState
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.step.execute import execute_step
from tests.integration.flow_parts import Bench
from tests.integration.graph_parts import Calls, declare_graph, error, history, opened, ran, states, value


@dataclass(frozen=True)
class Gate(TaskStep):
    """Chooses the steps that the run's parameter names."""

    chooses: ClassVar[bool] = True

    def execute(self, context: StepContext) -> Choice:
        """See the base class."""
        return Choice(context.run.params["open"])


@dataclass(frozen=True)
class Count(TaskStep):
    """Counts the rows of a table with a role that may read it."""

    kind: ClassVar[str] = "row-count"

    table: str
    _: KW_ONLY
    least: int = 0

    def execute(self, context: StepContext) -> Any:
        """See the base class."""
        with psycopg.connect(context.database_url) as connection:
            query = SQL("SELECT count(*), current_user FROM {}").format(Identifier(self.table))
            ((count, role),) = connection.execute(query).fetchall()
        if count < self.least:
            raise StepError(f"{self.table} has only {count} rows", value={"rows": count})
        return {"rows": count, "role": role}


@dataclass(frozen=True)
class Waits(TaskStep):
    """Ends the run, and waits until it is told to stop."""

    bench: Bench

    def execute(self, context: StepContext) -> None:
        """See the base class."""
        cancel_run(self.bench.parts(), run_id=context.run.id)
        if context.stop.wait(30):
            raise LeaseLost("told to stop")


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Three records."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(3)
        yield bench


@pytest.fixture
def calls() -> Calls:
    """Functions for steps."""
    return Calls()


def test_a_kind_of_ones_own_chooses_which_steps_run(bench: Bench, calls: Calls) -> None:
    """As Branch does: by name, only of what stands right behind it, and there must be such."""
    declare_graph(bench, Gate("gate"), calls.step("left", "gate"), calls.step("right", "gate"))

    run = ran(bench, params={"open": "left"})
    wrong = ran(bench, params={"open": "middle"})

    assert states(bench, run.id) == {"gate": "done", "left": "done", "right": "skipped"}
    assert value(bench, run.id, "gate") == ["left"]
    assert calls.made == ["left"]
    assert wrong.state is RunState.FAILED
    assert "the branch returned 'middle'" in error(bench, wrong.id, "gate")
    alone = bench.catalog.get("items")
    object.__setattr__(alone, "steps", alone.steps[:1])
    assert "is a branch, but no step has after=['gate']" in alone.problems()[0]


def test_a_kind_of_ones_own_works_in_the_database_by_the_authors_role(bench: Bench) -> None:
    """Its name in the ledger is the one that it says; what a failed one leaves is read by a step that cleans up."""
    read: list[Any] = []
    clean = Python("clean", lambda run: read.append(run["few"].value), after="few", join="always")
    declare_graph(bench, Count("all", "records"), Count("few", "records", least=4, after="all"), clean)

    run = ran(bench)

    assert value(bench, run.id, "all")["rows"] == 3
    assert "author" in value(bench, run.id, "all")["role"]
    assert bench.column("SELECT DISTINCT kind FROM batchord.steps ORDER BY 1") == ["python", "row-count"]
    assert error(bench, run.id, "few") == "records has only 3 rows"
    assert read == [{"rows": 3}]


def test_a_kind_of_ones_own_is_told_to_stop(bench: Bench) -> None:
    """When its run was cancelled, the event of its context is set, and nothing of it is written."""
    declare_graph(bench, Waits("wait", bench))
    run_id, _ = opened(bench)

    assert execute_step(bench.parts(lease_seconds=0.3), run_id=run_id, step="wait") == []
    assert bench.ledger.runs.get(run_id).state is RunState.CANCELLED
    assert [state for state, _, _ in history(bench, run_id, "wait")] == ["cancelled"]

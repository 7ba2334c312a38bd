"""Short ways to graphs of steps: declared in a test, run by the verbs, read back from the ledger."""

from collections.abc import Sequence
from typing import Any

from batchord import Bash, Python
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict, Step
from batchord.core.run.messages import Message, StepReady
from batchord.core.run.runs import Run
from batchord.flow.begin.start import start_run
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, length


class Calls:
    """Functions for Python steps that keep in which order they were called."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def step(self, name: str, *after: str, returns: Any = None, **options: Any) -> Python:
        """A step that notes its call."""

        def function() -> Any:
            self.made.append(name)
            return returns

        return Python(name, function, after=after, **options)

    def failing(self, name: str, *after: str, error: Exception | None = None, **options: Any) -> Python:
        """A step that notes its call and fails."""

        def function() -> None:
            self.made.append(name)
            raise error or ValueError("it broke")

        return Python(name, function, after=after, **options)


def declare_graph(bench: Bench, *steps: Step, name: str = ITEMS, **options: Any) -> None:
    """Declares a pipeline of these steps, which must have no problems."""
    pipeline = Pipeline(name, steps=steps, **options)
    assert pipeline.problems() == []
    bench.catalog.pipelines[name] = pipeline


def scoring(*after: str, **options: Any) -> Predict:
    """The step that predicts the bench's records."""
    return Predict(STEP, source=options.pop("source", RECORDS), model=options.pop("model", length), after=after,
                   **options)  # fmt: skip


def opened(bench: Bench, pipeline: str = ITEMS, **start: Any) -> tuple[str, list[Message]]:
    """A manual run whose first messages are not processed yet: its id and those messages."""
    run, messages = start_run(bench.parts(), pipeline=pipeline, trigger="call", **start)
    return run.id, messages


def ran(bench: Bench, pipeline: str = ITEMS, *, params: dict[str, Any] | None = None, **settings: Any) -> Run:
    """A run by hand, worked off with all that follows it."""
    run_id, messages = opened(bench, pipeline, params=params)
    return bench.run_on(run_id, messages, **settings)


def states(bench: Bench, run_id: str) -> dict[str, str]:
    """The state of each step of a run, in the pipeline's order."""
    return {step.name: step.state.value for step in bench.ledger.runs.steps(run_id)}


def value(bench: Bench, run_id: str, step: str) -> Any:
    """What a step handed on."""
    (found,) = [each for each in bench.ledger.runs.steps(run_id) if each.name == step]
    return None if found.output is None else found.output.get("value")


def error(bench: Bench, run_id: str, step: str) -> str:
    """What the ledger says of a step's end."""
    (found,) = [each for each in bench.ledger.runs.steps(run_id) if each.name == step]
    return found.error or ""


def history(bench: Bench, run_id: str, step: str, shard: int = -1) -> list[tuple[str, str, str | None]]:
    """(state, worker, error) of each attempt at a step or a shard, in their order."""
    return bench.sql(
        "SELECT state, worker, error FROM batchord.attempts WHERE run_id = %s AND step = %s AND shard = %s "
        "ORDER BY attempt",
        run_id, step, shard,
    )  # fmt: skip


def sent_steps(messages: Sequence[Message]) -> list[str]:
    """Names of the steps that are to be sent."""
    return [message.step for message in messages if isinstance(message, StepReady)]


def bash(name: str, command: str, *after: str, **options: Any) -> Bash:
    """A step that runs a command."""
    return Bash(name, command, after=after, **options)

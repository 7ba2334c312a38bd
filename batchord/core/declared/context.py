"""The run as a step's function sees it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from batchord.core.declared.params import Params, is_not_finite
from batchord.core.errors import OutputRefused
from batchord.core.run.records import unstorable
from batchord.core.run.runs import StepState, becomes_shards
from batchord.core.text.calls import NamesOptions
from batchord.core.text.counts import counted
from batchord.core.text.similar import meant

#: Bytes of JSON that a step may pass to later steps.
MOST_OUTPUT_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class StepOutput(NamesOptions):
    """The state and the output of an earlier step of the run.

    Args:
        name: The name of the step.
        kind: Its kind, such as ``predict`` or ``python``.
        state: The state in which it is.
        output: As the ledger holds it: the summary of a Predict step, ``{"value": …}`` of any other step.
        error: Why the step failed; None if it did not fail.
    """

    name: str
    kind: str
    state: StepState
    output: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def value(self) -> Any:
        """What a Python step returned, or what a Sql or Bash step reports; None if the step did not run.

        A Bash step reports its exit code even if it failed.
        """
        return self.output.get("value")

    def __getitem__(self, key: str) -> Any:
        """A part of the step's value, or of a Predict step's summary. Raises KeyError, which names the parts."""
        parts = self.output if becomes_shards(self.kind) else self.value
        if not isinstance(parts, Mapping):
            raise KeyError(f"step {self.name} ({self.state}) has no parts with names; its value is {parts!r}")
        if key not in parts:
            raise KeyError(f"step {self.name} ({self.state}) has no {key!r}; {meant(key, parts, listed='it has')}")
        return parts[key]

    @property
    def discovered(self) -> int:
        """Records that a Predict step found; 0 for any other step."""
        return int(self.output.get("discovered", 0))

    @property
    def predicted(self) -> int:
        """Records that a Predict step predicted; 0 for any other step."""
        return int(self.output.get("predicted", 0))

    @property
    def rejected(self) -> int:
        """Records that a Predict step rejected; 0 for any other step."""
        return int(self.output.get("rejected", 0))

    def count(self, label: str) -> int:
        """How many predictions of this run have that label.

        Raises LookupError if there are so many labels that the summary does not hold this one.
        """
        labels = self.output.get("labels", {})
        if label not in labels and self.output.get("more_labels"):
            raise LookupError(
                f"The summary of step {self.name} holds only the {len(labels)} most frequent labels, without "
                f"{label!r}. Count this label in batchord.predictions with a Sql step."
            )
        return int(labels.get(label, 0))

    def share(self, label: str) -> float:
        """The share of this run's predictions with that label, from 0 to 1; 0 if nothing was predicted.

        Raises LookupError as :meth:`count` does.
        """
        return self.count(label) / self.predicted if self.predicted else 0.0


@dataclass(frozen=True, kw_only=True)
class RunContext(NamesOptions, Mapping[str, StepOutput]):
    """The run as a step's function sees it. ``run["score"]`` is the state and output of the earlier step ``score``.

    Args:
        id: The run's id.
        pipeline: The name of the pipeline.
        step: The name of the step that is being executed.
        attempt: The number of this attempt at the step, from 1.
        kind: What started the run: ``scheduled``, ``manual``, ``event``, ``backfill``, ….
        slot: The fire time that a scheduled run stands for, in UTC.
        window_start: Where the run's window begins: at the fire time before its slot. That of a backfill is what the
            person asked for. None: the run has no window.
        window_end: Where the window ends: at the slot, or at the start of a run by hand.
        params: The parameters from ``batchord run NAME --param key=value``. The KeyError for a missing one names
            the others.
        outputs: All steps before this one in the graph, by name.
    """

    id: str
    pipeline: str
    step: str
    attempt: int
    kind: str
    slot: datetime | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, StepOutput] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", Params(self.params))

    def __getitem__(self, name: str) -> StepOutput:
        """The state and the output of step ``name``. Raises KeyError, whose message has the name that was meant."""
        if name not in self.outputs:
            names = meant(name, self.outputs, listed="these steps do")
            raise KeyError(f"step {name!r} does not come before {self.step!r} in the graph (after=); {names}")
        return self.outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)


def checked_output(step: str, value: Any) -> dict[str, Any]:
    """``value`` as the output of a step. Raises OutputRefused if it is too large or not JSON."""
    try:
        text = json.dumps({"value": value}, allow_nan=False, ensure_ascii=False, default=_no_json)
        size = len(text.encode())  # raises for a lone surrogate, which is not a character
    except (TypeError, ValueError, RecursionError) as error:
        more = ": it holds NaN or infinity; use None instead" if is_not_finite(error) else ""
        raise OutputRefused(
            f"The value that step {step} returned cannot be handed on: {error}{more}. Return None, or numbers, texts, "
            "lists and dicts of these with texts as keys."
        ) from None
    if size > MOST_OUTPUT_BYTES:
        raise OutputRefused(
            f"Step {step} returned {counted(size, 'byte')} of JSON; a step may hand on at most {MOST_OUTPUT_BYTES:,}. "
            "Write the value into a table or to S3, and return its place."
        )
    if unstorable(value):
        raise OutputRefused(
            f"The value that step {step} returned holds a NUL character or half of a surrogate pair, which PostgreSQL "
            "cannot store: remove it."
        )
    output: dict[str, Any] = json.loads(text)
    return output


def _no_json(value: Any) -> Any:
    """Raises TypeError as json itself does, and adds advice for NumPy's numbers and arrays, which look like JSON."""
    advice = ""
    if getattr(value, "ndim", 0) and hasattr(value, "tolist"):
        advice = ": return its .tolist()"
    elif hasattr(value, "item"):
        advice = ": return int(x), float(x) or x.item() of it"
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable{advice}")

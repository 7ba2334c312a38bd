"""What an author declares: a pipeline is a schedule and steps.

Declarations never raise for what they hold, so that all problems of a file can be reported together:
``problems()`` lists them, and the catalog asks for it.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from app.core.errors import UnknownPipeline
from app.core.limits import RejectionLimit
from app.core.models import FunctionModel, Model, as_names
from app.core.schedules import Schedule
from app.core.sources import SqlSource

#: What a tick does while an earlier run of the pipeline is still active.
Overlap = Literal["skip", "queue"]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Predict:
    """A step that predicts the records of ``source`` that have no prediction yet with ``model``."""

    name: str
    _: KW_ONLY
    source: SqlSource
    #: A declaration from :mod:`app.core.models`, or a plain function ``frame -> Series or DataFrame``.
    model: Model | Callable[[Any], Any]
    #: Names of the steps that must have succeeded before.
    after: tuple[str, ...] = ()
    #: Records in one call of the model; None means the model's own choice.
    batch_rows: int | None = None
    #: Records in a full shard; None means the model's own choice.
    shard_rows: int | None = None
    #: How many rejections a run bears before it fails.
    rejection_limit: RejectionLimit = field(default_factory=RejectionLimit)

    def __post_init__(self) -> None:
        object.__setattr__(self, "after", as_names(self.after))
        if not isinstance(self.model, Model) and callable(self.model):
            object.__setattr__(self, "model", FunctionModel(self.model))

    @property
    def declared_model(self) -> Model:
        """The model as a declaration, whatever the author gave."""
        assert isinstance(self.model, Model)  # noqa: S101 -- __post_init__ and problems() see to it
        return self.model

    @property
    def source_digest(self) -> str:
        """Changes when the step may see other records than before: its frontier is void then."""
        return hashlib.sha256(repr(self.source).encode()).hexdigest()[:16]

    def problems(self) -> list[str]:
        """What is wrong with the step, one sentence each."""
        found = []
        if not _NAME.fullmatch(self.name):
            found.append(f"{self.name!r} is no step name: use lower-case letters, digits, '_' and '-'")
        if isinstance(self.source, SqlSource):
            found += self.source.problems()
        else:
            found.append(f"source= is a {type(self.source).__name__}: give a SqlSource")
        if isinstance(self.model, Model):
            found += self.model.problems()
        else:
            found.append(f"model= is a {type(self.model).__name__}: give a model or a function of a DataFrame")
        if isinstance(self.rejection_limit, RejectionLimit):
            found += self.rejection_limit.problems()
        else:
            found.append(f"rejection_limit={self.rejection_limit!r}: give RejectionLimit(share=0.5, count=100)")
        for option in ("batch_rows", "shard_rows"):
            value = getattr(self, option)
            if value is not None and value < 1:
                found.append(f"{option}={value} must be at least 1")
        return found


@dataclass(frozen=True)
class Pipeline:
    """A schedule and steps under one name. With a single Predict step, ``source`` and ``model`` suffice."""

    name: str
    _: KW_ONLY
    #: None means by hand only.
    schedule: Schedule | None = None
    steps: Sequence[Predict] = ()
    source: SqlSource | None = field(default=None, repr=False)
    model: Model | Callable[[Any], Any] | None = field(default=None, repr=False)
    #: How many rejections a run bears, where ``source`` and ``model`` make the only step.
    rejection_limit: RejectionLimit = field(default_factory=RejectionLimit, repr=False)
    overlap: Overlap = "skip"
    #: One line for people, shown by ``batchord pipelines``.
    description: str = ""
    #: Whether the only step came from ``source`` and ``model``.
    short_form: bool = field(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        steps = tuple(self.steps)
        object.__setattr__(self, "short_form", not steps)
        if not steps and self.source is not None and self.model is not None:
            limit = self.rejection_limit
            steps = (Predict("predict", source=self.source, model=self.model, rejection_limit=limit),)
        object.__setattr__(self, "steps", steps)

    def step(self, name: str) -> Predict:
        """The step of that name. Raises UnknownPipeline when the file has another version of the pipeline."""
        for step in self.steps:
            if step.name == name:
                return step
        raise UnknownPipeline(
            f"Pipeline {self.name!r} has no step {name!r} in this process: its file has changed since the run began."
        )

    def problems(self) -> list[str]:
        """What is wrong with the pipeline and its steps, one sentence each; empty when all is well."""
        found = []
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            found.append(f"{self.name!r} is no pipeline name: use lower-case letters, digits, '_' and '-'")
        if not self.steps:
            found.append("it has no steps: give source= and model=, or steps=[...]")
        elif not self.short_form and (self.source is not None or self.model is not None):
            found.append("both steps= and source= or model= are given: keep one of the two forms")
        if self.overlap not in ("skip", "queue"):
            found.append(f"overlap={self.overlap!r} is unknown: use 'skip' or 'queue'")
        if self.schedule is not None:
            if hasattr(self.schedule, "slot_at"):
                found += self.schedule.problems()
            else:
                found.append(f"schedule={self.schedule!r} is no schedule: use every(minutes=10) or cron('0 * * * *')")
        for step in self.steps:
            if not isinstance(step, Predict):
                found.append(f"steps holds a {type(step).__name__}: give Predict(...)")
                continue
            found += [f"step {step.name!r}: {problem}" for problem in step.problems()]
        return found + self._graph_problems()

    def _graph_problems(self) -> list[str]:
        steps = [step for step in self.steps if isinstance(step, Predict)]
        names = [step.name for step in steps]
        found = [f"two steps are named {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]
        for step in steps:
            found += [
                f"step {step.name!r}: after={unknown!r} names no step of this pipeline"
                for unknown in step.after
                if unknown not in names
            ]
        waiting = {step.name: set(step.after) & set(names) for step in steps}
        while ready := [name for name, after in waiting.items() if not after & waiting.keys()]:
            for name in ready:
                del waiting[name]
        if waiting:
            found.append(f"steps {', '.join(sorted(waiting))} wait for each other in a cycle: remove one after=")
        return found

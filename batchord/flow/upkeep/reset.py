"""Forgets the predictions and rejections of a pipeline, so that its next run predicts all its records again."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchord.core.declared.pipelines import Pipeline
from batchord.core.errors import CatalogError, UnknownPipeline, UnknownStep
from batchord.core.run.graph import downstream
from batchord.core.run.history import Actor
from batchord.core.run.resets import StepResults
from batchord.flow.begin.follow import follows
from batchord.flow.begin.slots import schedule_now
from batchord.flow.parts import Parts
from batchord.flow.upkeep.history import change


@dataclass(frozen=True, kw_only=True)
class Forgettable:
    """What a reset would forget, and what depends on it."""

    pipeline: str
    #: The steps that would be reset, with their results.
    steps: list[StepResults]
    #: The steps after them in the file. What they made of the results stays as it is.
    later_steps: list[str]
    #: The pipelines that follow this one.
    followers: list[str]
    #: The steps whose source reads its run's window: the next run predicts the records of its own window only.
    windowed: list[str]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to forget."""
        return all(each.is_empty for each in self.steps)


def forgettable(parts: Parts, *, pipeline: str, step: str | None = None) -> Forgettable:
    """What :func:`reset` would forget: of one step, or of all Predict steps, also those that the file has no more.

    Raises UnknownPipeline if neither a file nor the ledger knows the pipeline, UnknownStep for such a step, and
    ConfigurationError if a run of the pipeline is queued or running.
    """
    declared = _declared(parts, pipeline)
    parts.ledger.resets.check(pipeline)
    results = {each.step: each for each in parts.ledger.resets.results(pipeline)}
    if declared is None and not results:
        parts.catalog.get(pipeline)  # raises
    for each in [] if declared is None else declared.predict_steps:
        results.setdefault(each.name, StepResults(step=each.name, predictions=0, rejections=0))
    if step is not None and step not in results:
        names = ", ".join(sorted(results)) or "none"
        raise UnknownStep(f"{pipeline} has no Predict step {step!r}; its Predict steps are: {names}.")
    chosen = sorted(results if step is None else {step})
    return Forgettable(
        pipeline=pipeline,
        steps=[results[name] for name in chosen],
        later_steps=[] if declared is None else _later(declared, set(chosen)),
        followers=sorted({follower for followed, _, follower in follows(parts.catalog) if followed == pipeline}),
        windowed=[] if declared is None else _windowed(parts, declared, set(chosen)),
    )


def reset(parts: Parts, *, pipeline: str, steps: Sequence[str], actor: Actor | None = None) -> list[StepResults]:
    """Forgets the results and the frontiers of these steps, and returns what was forgotten.

    ``actor``: the person for the history. Raises ConfigurationError if a run of the pipeline is queued or running, or
    has started meanwhile. Then nothing was forgotten, just as if the process is killed.
    """
    noted = change(parts, actor, "reset", pipeline=pipeline, detail={"steps": list(steps)})
    return parts.ledger.resets.reset(pipeline, steps, change=noted)


def _declared(parts: Parts, pipeline: str) -> Pipeline | None:
    """The pipeline as its file declares it; None if the file is gone or broken: its results may be reset even so."""
    try:
        return parts.catalog.get(pipeline)
    except (CatalogError, UnknownPipeline):
        return None


def _later(declared: Pipeline, chosen: set[str]) -> list[str]:
    behind = downstream({each.name: each.after for each in declared.steps}, chosen) - chosen
    return [each.name for each in declared.steps if each.name in behind]


def _windowed(parts: Parts, declared: Pipeline, chosen: set[str]) -> list[str]:
    if declared.after is None and schedule_now(declared, parts.ledger.pipelines.standing(declared.name)) is None:
        return []  # the window of its next run begins at the beginning of time, as that of its first run
    return [each.name for each in declared.predict_steps if each.name in chosen and each.source.uses_window]

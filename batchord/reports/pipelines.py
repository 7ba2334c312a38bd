"""The pipelines that the files declare, and the problems in them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from batchord.catalog import Loaded, Problem
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict, Step

#: What is shown as the schedule of a pipeline without one.
BY_HAND = "by hand"


@dataclass(frozen=True, kw_only=True)
class DeclaredStep:
    """A step as its file declares it."""

    name: str
    kind: str
    after: Sequence[str]
    #: The kind and the location of a Predict step's model.
    model: str | None


@dataclass(frozen=True, kw_only=True)
class PipelineReport:
    """A pipeline as its file declares it."""

    name: str
    file: str
    #: None: only people start runs.
    schedule: str | None
    overlap: str
    description: str
    steps: Sequence[DeclaredStep]

    @property
    def when(self) -> str:
        """When it runs, for people."""
        return self.schedule or BY_HAND


@dataclass(frozen=True, kw_only=True)
class CatalogReport:
    """All pipelines, sorted by name, and all problems."""

    pipelines: Sequence[PipelineReport]
    problems: Sequence[Problem]

    def as_json(self) -> dict[str, Any]:
        """The contract for programs."""
        return {
            "pipelines": [asdict(each) for each in self.pipelines],
            "problems": [{"file": each.file, "pipeline": each.pipeline, "what": each.what} for each in self.problems],
        }


def declared_pipelines(loaded: Loaded) -> CatalogReport:
    """The pipelines that the files declare, and the problems in the files."""
    pipelines = [_pipeline(loaded.pipelines[name], loaded.files[name]) for name in sorted(loaded.pipelines)]
    return CatalogReport(pipelines=pipelines, problems=loaded.problems)


def _pipeline(declared: Pipeline, file: str) -> PipelineReport:
    return PipelineReport(
        name=declared.name,
        file=file,
        schedule=None if declared.schedule is None else str(declared.schedule),
        overlap=declared.overlap,
        description=declared.description,
        steps=[
            DeclaredStep(name=step.name, kind=step.kind, after=list(step.after), model=_model(step))
            for step in declared.steps
        ],
    )


def _model(step: Step) -> str | None:
    if not isinstance(step, Predict):
        return None
    model = step.declared_model
    location = getattr(model, "location", None)
    return f"{type(model).__name__} {location}" if location else type(model).__name__

"""The pipelines that the files declare, and the problems in them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batchord.catalog import Loaded, Problem
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict, Step
from batchord.core.errors import BatchordError
from batchord.core.run.standing import Standing

if TYPE_CHECKING:
    from batchord.ledger import Ledger

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
    #: The schedule that a person set instead of the file's.
    switched: str | None = None
    #: When and by whom it was paused; None: it is not paused, or nobody knows.
    paused_at: datetime | None = None
    paused_by: str | None = None
    #: Its next slot; None while it is paused, or if there is none.
    next: datetime | None = None

    @property
    def when(self) -> str:
        """When it runs, for people."""
        return self.switched or self.file_says

    @property
    def file_says(self) -> str:
        """When it runs by its file, for people."""
        return self.schedule or BY_HAND


@dataclass(frozen=True, kw_only=True)
class CatalogReport:
    """All pipelines, sorted by name, and all problems."""

    pipelines: Sequence[PipelineReport]
    problems: Sequence[Problem]
    #: Why pauses and switched schedules are unknown; None: they are known.
    unknown_because: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The contract for programs."""
        return {
            "pipelines": [asdict(each) for each in self.pipelines],
            "problems": [
                {"file": each.file, "pipeline": each.pipeline, "what": each.what, "line": each.line}
                for each in self.problems
            ],
        }


def declared_pipelines(loaded: Loaded) -> CatalogReport:
    """The pipelines that the files declare, and the problems in the files."""
    pipelines = [_pipeline(loaded.pipelines[name], loaded.files[name]) for name in sorted(loaded.pipelines)]
    return CatalogReport(pipelines=pipelines, problems=loaded.problems)


def pipelines_now(loaded: Loaded, open_ledger: Callable[[], "Ledger"]) -> CatalogReport:
    """The pipelines with what people switched at run time, as far as the ledger can be read. It writes nothing."""
    report = declared_pipelines(loaded)
    names = [each.name for each in report.pipelines]
    unknown: str | None = None
    try:
        ledger = open_ledger()
        ledger.check()  # a pool would wait for a server that does not answer
        standings = ledger.pipelines.known(names)
        people = ledger.reports.paused_by(names)
    except BatchordError as error:
        unknown = str(error)
        standings, people = {}, {}
    now = [
        _now(each, loaded.pipelines[each.name], standings.get(each.name), people.get(each.name, (None, None)))
        for each in report.pipelines
    ]
    return replace(report, pipelines=now, unknown_because=unknown)


def _now(
    report: PipelineReport, declared: Pipeline, standing: Standing | None, person: tuple[str | None, str | None]
) -> PipelineReport:
    schedule = declared.scheduled_by(None if standing is None else standing.schedule)
    moment = datetime.now(UTC) if standing is None else standing.now
    paused_at = None if standing is None else standing.paused_at
    return replace(
        report,
        switched=None if standing is None or standing.schedule is None else str(schedule),
        paused_at=paused_at,
        paused_by=None if paused_at is None else " on ".join(filter(None, person)) or None,
        next=None if schedule is None or paused_at is not None else schedule.slot_after(moment),
    )


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

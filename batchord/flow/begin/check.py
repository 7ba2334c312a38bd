"""Checks pipelines without running them: their SQL against the databases, and their models on request."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from batchord.core.declared.loaded_model import remarks_of
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.step_context import CheckContext
from batchord.core.declared.steps import Predict, Step, TaskStep
from batchord.core.errors import BatchordError
from batchord.core.ports import Models
from batchord.core.run.graph import upstream
from batchord.core.run.key_columns import KeyColumn, key_of_columns
from batchord.core.run.output_types import OutputColumn
from batchord.core.run.results import TableName
from batchord.core.text.error_text import message_of
from batchord.flow.begin.model_check import missing_columns
from batchord.flow.begin.unplaced import unplaced_warnings
from batchord.flow.parts import OpenSource

#: How long one question to a database may take.
CHECK_LIMIT = timedelta(seconds=30)
#: The window of a source that reads one: a check reads no record of it.
_WINDOW = timedelta(days=1)


class CheckedTables(Protocol):
    """The tables for predictions, in the ledger's database."""

    def problems(
        self, pipeline: str, step: str, name: TableName, key: KeyColumn, outputs: Sequence[OutputColumn]
    ) -> list[str]:
        """The problems of a table that the author names. Raises ConfigurationError and TransientError."""

    def problems_of_own(self, pipeline: str, step: str, outputs: Sequence[OutputColumn]) -> list[str]:
        """The problems of the table whose name Batchord chooses. Raises ConfigurationError and TransientError."""


@dataclass(frozen=True, kw_only=True)
class CheckParts:
    """What a check needs. Unlike other verbs, it works without a ledger."""

    open_source: OpenSource
    #: The models; None: they are not checked.
    models: Callable[[], Models] | None
    #: The address of the ledger's database for the author's role; None: no database is configured.
    author_url: str | None = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    mask: Callable[[str], str]
    #: The tables for predictions; None: no database is configured.
    tables: Callable[[], "CheckedTables"] | None = None


class FindingKind(Enum):
    """What a finding means for the check."""

    #: Something that the author must correct: the check fails.
    PROBLEM = auto()
    #: Something in the data that a person should know.
    WARNING = auto()
    #: The reason why a part was not checked.
    UNCHECKED = auto()


@dataclass(frozen=True, kw_only=True)
class StepFinding:
    """A problem of a step, a warning, or the reason why its SQL was not checked."""

    step: str
    what: str
    kind: FindingKind = FindingKind.PROBLEM


def check_pipeline(parts: CheckParts, declared: Pipeline) -> list[StepFinding]:
    """What a database or a model shows. It writes nothing, and of records reads only whether some cannot be ordered."""
    before = {step.name: step.names_before for step in declared.steps}
    findings = []
    for step in declared.steps:
        earlier = [declared.step(name) for name in upstream(before, step.name)]
        findings += list(_checked(parts, declared.name, step, earlier))
    return findings


def _checked(parts: CheckParts, pipeline: str, step: Step, earlier: list[Step]) -> Iterator[StepFinding]:
    try:
        if isinstance(step, Predict):
            yield from _check_predict(parts, pipeline, step)
        elif isinstance(step, TaskStep):
            yield from _check_task(parts, step, earlier)
    except BatchordError as error:
        yield StepFinding(step=step.name, what=parts.mask(str(error)))


def _check_predict(parts: CheckParts, pipeline: str, step: Predict) -> Iterator[StepFinding]:
    columns = None
    unknown = _unknown_address(parts, step.source)
    if unknown is None:
        now = datetime.now(UTC)
        window = (now - _WINDOW, now) if step.source.uses_window else None
        reader = parts.open_source(step.source.within(CHECK_LIMIT), window)
        columns = reader.check()
        yield from _check_table(parts, pipeline, step, reader)
        for warning in unplaced_warnings(parts.open_source, step, window):
            yield StepFinding(step=step.name, what=parts.mask(warning), kind=FindingKind.WARNING)
    else:
        yield StepFinding(step=step.name, what=unknown, kind=FindingKind.UNCHECKED)
    read = step.declared_model.needs
    if parts.models is None:
        for problem in step.declared_model.problems_of_files():
            yield StepFinding(step=step.name, what=parts.mask(problem))
    else:
        try:
            models = parts.models()
            loaded = models.load(step.declared_model, models.version(step.declared_model))
            read = read or loaded.reads or ()
            for remark in remarks_of(loaded):
                yield StepFinding(step=step.name, what=parts.mask(remark), kind=FindingKind.WARNING)
        except Exception as error:  # noqa: BLE001 -- broken files or an author's kind may raise anything
            yield StepFinding(step=step.name, what=parts.mask(f"The model cannot be loaded: {message_of(error)}"))
    yield from (StepFinding(step=step.name, what=problem) for problem in missing_columns(step, read, columns))


def _check_table(parts: CheckParts, pipeline: str, step: Predict, reader: SourceReader) -> Iterator[StepFinding]:
    # A source that does not say the type of its keys shows it with its first record.
    if parts.tables is None:
        return
    outputs = step.output_columns
    if step.into_table is None:
        found = parts.tables().problems_of_own(pipeline, step.name, outputs) if outputs else []
        option = "outputs="
    elif reader.key_type is None and not reader.key_parts:
        return
    else:
        key = (
            key_of_columns(reader.key_parts)
            if reader.key_parts
            else KeyColumn(name=step.source.key_name, type=str(reader.key_type))
        )
        found = parts.tables().problems(pipeline, step.name, step.into_table, key, outputs)
        option = f"into={step.into!r}"
    for problem in found:
        yield StepFinding(step=step.name, what=parts.mask(f"{option}: {problem}"))


def shared_tables(pipelines: Iterable[Pipeline]) -> Iterator[tuple[str, StepFinding]]:
    """The steps whose predictions would go to the table of another pipeline's step, with their pipelines."""
    first: dict[TableName, tuple[str, str]] = {}
    for declared in pipelines:
        for step in declared.predict_steps:
            if step.into_table is None:
                continue
            pipeline, name = first.setdefault(step.into_table, (declared.name, step.name))
            if pipeline != declared.name:
                what = (
                    f"into={step.into!r} is the table of step {name} of {pipeline}: give each step a table of its own"
                )
                yield declared.name, StepFinding(step=step.name, what=what)


def _check_task(parts: CheckParts, step: TaskStep, earlier: list[Step]) -> Iterator[StepFinding]:
    unknown = _unknown_address(parts, step)
    if unknown is not None and step.uses_database:
        yield StepFinding(step=step.name, what=unknown, kind=FindingKind.UNCHECKED)
        return
    context = CheckContext(
        database_url=parts.author_url or "",
        time_limit=CHECK_LIMIT,
        tables_may_change=any(isinstance(each, TaskStep) and each.may_change_tables for each in earlier),
    )
    yield from (StepFinding(step=step.name, what=parts.mask(problem)) for problem in step.check(context))


def _unknown_address(parts: CheckParts, declared: object) -> str | None:
    """Why the address of the declaration's database is unknown here; None if it is known."""
    variable = getattr(declared, "url_env", None)
    if variable:
        return None if parts.environment.get(variable) else f"the variable {variable} is not set here"
    if getattr(declared, "url", None) or parts.author_url is not None:
        return None
    return "no database is configured: set BATCHORD_DATABASE_URL, or call `batchord up` first"

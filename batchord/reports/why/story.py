"""The story of one record: what each Predict step of a pipeline made of it, or will."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import BatchordError, ConfigurationError, UnknownStep
from batchord.core.reasons import of_the_model
from batchord.core.run.provenance import AttemptAtShard, Outcome
from batchord.core.run.records import ledger_texts, record_key
from batchord.core.text.counts import counted
from batchord.core.text.error_text import message_of
from batchord.reports.why.inputs import InputReport, compare_input
from batchord.reports.why.nearby import near_keys
from batchord.reports.why.outlook import coming
from batchord.reports.why.sought import Sought, seek

if TYPE_CHECKING:
    from batchord.flow.parts import Parts


_NOT_READ = "The ledger has no prediction and no rejection of it, and its source could not be read."


class RecordState(StrEnum):
    """What became of a record in a step. The words are those of the audit."""

    PREDICTED = "predicted"
    REJECTED = "rejected"
    #: A run is predicting it, or a coming run will read it.
    PENDING = "pending"
    #: No scheduled run will read it again.
    MISSING = "missing"
    NOT_FOUND = "not found"
    #: Its source could not be read, and the ledger has no outcome.
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class StepStory:
    """What one Predict step made of the record, or will."""

    step: str
    state: RecordState
    #: Why it stands like this, in sentences for people; empty for a prediction, which speaks for itself.
    why: str
    #: What happens next, or what a person can do; None if nothing is to be done.
    next: str | None = None
    #: When the schedule starts the run that will read it; None: no run by schedule, or nobody knows.
    next_run_at: datetime | None = None
    #: The name of the source's arrival column; None if the key orders the records.
    arrival_column: str | None = None
    #: Its value now; None if it is NULL, if there is no such column, or no such record.
    arrival: object = None
    #: Whether the source has the record now; None if it could not be read.
    in_source: bool | None = None
    source_error: str | None = None
    outcome: Outcome | None = None
    #: How many predictions and rejections there are: 2 and more are against the rules.
    outcomes: int = 0
    #: The attempts at the shard of the outcome; empty if the run was pruned.
    attempts: Sequence[AttemptAtShard] = ()
    #: Its input then and now; None if there is no outcome or no such record, or if the model itself is the reason.
    input: InputReport | None = None
    #: The version of the model that a run would use now; None if it cannot be told.
    model_version_now: str | None = None
    #: When a person last reset the step.
    reset_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RecordStory:
    """A record of a pipeline, step by step."""

    pipeline: str
    #: The key as the ledger writes it.
    key: str
    steps: Sequence[StepStory]
    #: Keys that exist and that may have been meant; only if no step knows the key.
    near: Sequence[str] = ()

    @property
    def is_known(self) -> bool:
        """Whether the ledger or a source has the record, as far as the sources could be read."""
        return any(step.state is not RecordState.NOT_FOUND for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        """The contract for programs."""
        return {
            "pipeline": self.pipeline,
            "key": self.key,
            "steps": [_as_json(step) for step in self.steps],
            "near": list(self.near),
        }


def story_of(parts: "Parts", *, pipeline: str, key: str, step: str | None = None) -> RecordStory:
    """The story of the record with this key, asked of the ledger and, read-only, of the sources.

    ``key``: as the ledger writes it, or whole. ``step``: only this Predict step. Raises UnknownPipeline, UnknownStep,
    ConfigurationError if the pipeline has no Predict step, and TransientError if the ledger does not answer.
    """
    declared = parts.catalog.get(pipeline)
    chosen = [each for each in declared.predict_steps if step in (None, each.name)]
    if not declared.predict_steps:
        raise ConfigurationError(f"{pipeline} has no Predict step, so it has no records.")
    if not chosen:
        names = ", ".join(each.name for each in declared.predict_steps)
        raise UnknownStep(f"{pipeline} has no Predict step {step!r}; its Predict steps are: {names}.")
    sought = {each.name: seek(parts, each, key) for each in chosen}
    source_key = next((at.key for each in sought.values() for at in each.positions), None)
    steps = [_step_story(parts, declared, each, sought[each.name], key) for each in chosen]
    story = RecordStory(pipeline=pipeline, key=record_key(key if source_key is None else source_key), steps=steps)
    return story if story.is_known else replace(story, near=near_keys(parts, pipeline, chosen, key))


def _step_story(parts: "Parts", declared: Pipeline, step: Predict, sought: Sought, key: str) -> StepStory:
    provenance = parts.ledger.provenance
    position = sought.positions[0] if sought.positions else None
    texts = {record_key(key), key, *(ledger_texts([position.key]) if position is not None else ())}
    story = StepStory(
        step=step.name,
        state=RecordState.UNKNOWN,
        why="",
        arrival_column=step.source.arrival,
        arrival=None if position is None else position.arrival,
        in_source=None if sought.error else position is not None,
        source_error=sought.error,
        reset_at=parts.ledger.resets.times(declared.name).get(step.name),
    )
    outcomes = provenance.outcomes(declared.name, step.name, sorted(texts))
    if not outcomes:
        return _without_outcome(parts, declared, step, sought, story)
    outcome = outcomes[0]
    return replace(
        story,
        state=RecordState.PREDICTED if outcome.reason is None else RecordState.REJECTED,
        why="" if outcome.reason is None else f"{outcome.reason}: {outcome.detail}",
        next=_advice(declared.name, outcome, sought, outcomes=len(outcomes)),
        outcome=outcome,
        outcomes=len(outcomes),
        attempts=provenance.attempts(outcome.run_id, step.name, outcome.shard),
        input=None if position is None else _input(parts, step, sought, outcome),
        model_version_now=_version_now(parts, step),
    )


def _input(parts: "Parts", step: Predict, sought: Sought, outcome: Outcome) -> InputReport | None:
    if outcome.reason is not None and of_the_model({outcome.reason: 1}):
        return None  # the model got the record, and no digest is kept of a rejection
    return compare_input(parts, step, sought.source, sought.positions[0], outcome)


def _without_outcome(parts: "Parts", declared: Pipeline, step: Predict, sought: Sought, story: StepStory) -> StepStory:
    if sought.error is not None:
        return replace(story, why=_NOT_READ)
    if not sought.positions:
        why = "The source has no record with this key, and the ledger has no prediction and no rejection of one."
        return replace(story, state=RecordState.NOT_FOUND, why=why)
    try:
        ahead = coming(parts, declared, step, sought)
    except BatchordError as error:
        parts.ledger.runs.now()  # raises if the ledger is away, not the source
        return replace(story, why=_NOT_READ, source_error=parts.mask(message_of(error)))
    why = ahead.why
    if len(sought.positions) > 1:
        why += " The query gives several rows with this key: the record will be rejected as duplicate-key."
    state = RecordState.MISSING if ahead.missing else RecordState.PENDING
    return replace(story, state=state, why=why, next=ahead.next, next_run_at=ahead.at)


def _advice(pipeline: str, outcome: Outcome, sought: Sought, *, outcomes: int) -> str | None:
    sentences = []
    if outcomes > 1:
        sentences.append(f"The ledger has {counted(outcomes, 'outcome')} of it, against the rules; this is the newest.")
    if outcome.reason is not None and (sought.positions or sought.error):
        key = shlex.quote(outcome.record_key)
        sentences.append(f"No run tries it again by itself. After a fix: `batchord retry {pipeline} --key {key}`.")
    return " ".join(sentences) or None


def _version_now(parts: "Parts", step: Predict) -> str | None:
    try:
        return parts.models.version(step.declared_model)
    except Exception:  # noqa: BLE001 -- missing files, a store that is away, an author's own kind: a run will report it
        return None


def _as_json(step: StepStory) -> dict[str, Any]:
    fields = asdict(step)
    fields["arrival"] = None if step.arrival is None else step.arrival if _is_plain(step.arrival) else str(step.arrival)
    return fields


def _is_plain(value: object) -> bool:
    return isinstance(value, int | float | datetime)

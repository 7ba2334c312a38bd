"""What a run would do now, without doing it."""

from dataclasses import asdict, dataclass
from typing import Any

from batchord.core.process.extras import missing
from batchord.flow.begin.model_check import check_model
from batchord.flow.begin.slots import schedule_now, window_by_hand
from batchord.flow.begin.unplaced import unplaced_warnings
from batchord.flow.parts import Parts
from batchord.flow.predict.plan import scan


@dataclass(frozen=True, kw_only=True)
class StepPreview:
    """What a run would do in one step."""

    step: str
    model_version: str
    records: int
    shards: int
    largest_shard: int
    #: The reason for the size of shards, for people.
    shard_size: str
    #: Estimated from the records per second of the last run; None if no run was measured.
    expected_seconds: float | None
    #: Whether a follow-up run would be needed.
    backlog_left: bool
    #: The record below which the frontier stays; None if there is none.
    stray: str | None
    #: What a person should know besides, one sentence each.
    warnings: list[str]
    #: Reasons for which a run of the step would fail, as far as a check without predicting can show.
    problems: list[str]
    #: Whether the model was loaded; otherwise only its declaration was checked.
    model_loaded: bool
    #: The libraries that the model needs and this environment lacks, and how to install them; None if it has them. This
    #: is no problem of the run: perhaps only the workers have them.
    missing_libraries: str | None
    #: Why it was not loaded, as a part of a sentence; None: it was, or one of the problems says why not.
    not_loaded: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The preview as JSON values."""
        return asdict(self)


def preview(parts: Parts, *, pipeline: str) -> list[StepPreview]:
    """Runs discovery for each step and writes nothing. Raises what planning raises."""
    declared = parts.catalog.get(pipeline)
    standing = parts.ledger.pipelines.standing(pipeline)
    window = window_by_hand(schedule_now(declared, standing), standing, standing.now)
    steps = []
    for step in declared.predict_steps:
        source = parts.open_source(step.source, window)
        version = parts.models.version(step.declared_model)
        found = scan(parts, pipeline=pipeline, declared=step, source=source, version=version, run_id="")
        shards = found.cutter.cut()
        rate = parts.ledger.runs.last_rate(pipeline, step.name)
        problems, loaded, not_loaded = check_model(parts, step, source, version)
        steps.append(
            StepPreview(
                step=step.name,
                model_version=version,
                records=found.cutter.records,
                shards=len(shards),
                largest_shard=max((shard.planned for shard in shards), default=0),
                shard_size=found.sizing.why,
                expected_seconds=round(found.cutter.records / rate, 1) if rate else None,
                backlog_left=found.backlog_left,
                stray=None if found.stray is None else str(found.stray),
                warnings=unplaced_warnings(parts.open_source, step, window),
                problems=problems,
                model_loaded=loaded,
                missing_libraries=missing(step.declared_model.extras, unneeded=step.declared_model.unneeded),
                not_loaded=not_loaded,
            )
        )
    return steps

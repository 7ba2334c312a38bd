"""Starts a run for a tick, an event or a person."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from batchord.core.calendar.schedules import Schedule, window_of
from batchord.core.declared.params import check_params
from batchord.core.declared.pipelines import Pipeline
from batchord.core.errors import ConfigurationError
from batchord.core.run.history import Actor
from batchord.core.run.messages import Message
from batchord.core.run.runs import Kind, NewRun, Run, StepState
from batchord.core.run.standing import Standing
from batchord.core.text.names import is_trigger
from batchord.flow.begin.repeat import after_an_edit
from batchord.flow.begin.slots import due_slots, schedule_now, window_by_hand
from batchord.flow.drive.advance import drive
from batchord.flow.parts import Parts
from batchord.flow.upkeep.history import change

SCHEDULE = "schedule"
BACKLOG = "backlog"
#: The first word of the trigger of a run that follows a run of another pipeline.
AFTER = "after"


def start_run(
    parts: Parts,
    *,
    pipeline: str,
    trigger: str,
    request: str | None = None,
    params: dict[str, Any] | None = None,
    after_run: str | None = None,
    actor: Actor | None = None,
) -> tuple[Run, list[Message]]:
    """Opens the run, or finds it if it exists already, and starts it if no other run blocks it.

    Args:
        parts: The ports and settings of the verb.
        pipeline: The name of the pipeline.
        trigger: Who asks for the run, in a few words.
        request: Identifies the request, so that a message that is delivered twice opens one run.
        params: The parameters of the run, JSON-like.
        after_run: With trigger ``backlog``, the run whose backlog this one continues; with trigger ``after``, the run
            of another pipeline that this one follows.
        actor: The person for the history, if a person starts the run.

    Raises UnknownPipeline, CatalogError, ConfigurationError, TransientError.
    """
    declared = parts.catalog.get(pipeline)
    check_params(params or {})
    if not is_trigger(trigger):
        raise ConfigurationError(
            f"A run of {pipeline} cannot have trigger={trigger!r:.120}: give up to 100 letters, digits and "
            "spaces, and any of . : / @ + # _ -, such as nightly-import."
        )
    standing = parts.ledger.pipelines.standing(pipeline)
    if after_run is not None:
        new = _after(parts, declared, standing, after_run, trigger)
    else:
        start, end = window_by_hand(schedule_now(declared, standing), standing, standing.now)
        new = replace(new_run(declared, Kind.MANUAL, trigger), request=request, window_start=start, window_end=end)
    detail = {"params": params or None, "trigger": trigger}
    noted = change(parts, actor, "run", pipeline=pipeline, detail=detail)
    return open_run(parts, replace(new, params=params or new.params, change=noted))


def tick(parts: Parts, *, pipeline: str, now: datetime | None = None) -> tuple[list[Run], list[Message]]:
    """Opens a run for each slot that is due: none while the pipeline is paused, several if it catches up.

    Raises UnknownPipeline, CatalogError, TransientError.
    """
    declared = parts.catalog.get(pipeline)
    standing = parts.ledger.pipelines.standing(pipeline)
    schedule = schedule_now(declared, standing)
    if schedule is None or standing.paused_at is not None:
        return [], []
    runs: list[Run] = []
    messages: list[Message] = []
    for place, slot in enumerate(due_slots(declared, schedule, standing, now or standing.now)):
        new = _scheduled(declared, schedule, slot)
        # Start only as many runs as may work at once: each run that ends starts the next one.
        run, run_messages = open_run(parts, new, drives=place < declared.max_active_runs)
        runs.append(run)
        messages += run_messages
    return runs, messages


def follow_up(parts: Parts, *, pipeline: str, after_run: str) -> tuple[Run, list[Message]]:
    """Continues the backlog that ``after_run`` left. A run has one follow-up run, however often this is called."""
    return start_run(parts, pipeline=pipeline, trigger=BACKLOG, after_run=after_run)


def open_run(parts: Parts, new: NewRun, *, drives: bool = True) -> tuple[Run, list[Message]]:
    """Opens the run, or finds it, and starts it if no other run blocks it. With ``drives=False`` it stays queued."""
    if not drives:
        return parts.ledger.runs.open(new).run, []
    # A second tick also drives the run: the process with the first one may have died after its commit.
    with parts.ledger.runs.opened(new) as locked:
        messages = drive(locked)
        return locked.run, messages


def new_run(declared: Pipeline, kind: Kind, trigger: str) -> NewRun:
    """A run of the pipeline with the steps that its file declares now. The caller adds further details."""
    return NewRun(
        pipeline=declared.name,
        kind=kind,
        trigger=trigger,
        steps=declared.new_steps(),
        max_active=declared.max_active_runs,
        disjoint=declared.disjoint,
    )


def _scheduled(declared: Pipeline, schedule: Schedule, slot: datetime) -> NewRun:
    start, end = window_of(schedule, slot)
    return replace(
        new_run(declared, Kind.SCHEDULED, SCHEDULE),
        slot=slot,
        window_start=start,
        window_end=end,
        # catchup="all" needs a run for each slot, even while another run is active.
        overlap="queue" if declared.catchup == "all" else declared.overlap,
    )


def _after(parts: Parts, declared: Pipeline, standing: Standing, after_run: str, trigger: str) -> NewRun:
    before = parts.ledger.runs.get(after_run)
    following = new_run(declared, Kind.FOLLOW_UP if trigger == BACKLOG else Kind.EVENT, trigger)
    # A follow-up run reads the rest of that run's window; an event's run reads the same window again.
    following = replace(following, window_start=before.window_start, window_end=before.window_end)
    if trigger == BACKLOG:
        steps = {step.name: step for step in parts.ledger.runs.steps(after_run)}
        if any(step.state is StepState.CODE_CHANGED for step in steps.values()):
            left = after_an_edit(following.steps, steps)
            following = replace(following, steps=left, params=before.params, full_scan=before.full_scan)
        return replace(following, request=f"backlog:{before.id}")
    return replace(
        following,
        trigger=f"{AFTER} {before.pipeline}",
        request=f"after:{before.id}:{declared.name}",
        # A queued run will also read the records of a second event, unless it reads only its own window.
        overlap="coalesce" if declared.overlap == "skip" and declared.sees_everything else "queue",
        skip_reason=None if standing.paused_at is None else "the pipeline was paused",
    )

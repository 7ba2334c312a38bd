"""A tick, or a person, becomes a run."""

import json
from datetime import datetime
from typing import Any

from app.core.errors import ConfigurationError
from app.core.ledger import Opened
from app.core.messages import Message
from app.core.pipelines import Pipeline
from app.core.runs import Kind, NewRun, Run
from app.flow.advance import drive
from app.flow.parts import Parts

SCHEDULE = "schedule"
BACKLOG = "backlog"


def start_run(
    parts: Parts,
    *,
    pipeline: str,
    trigger: str,
    request: str | None = None,
    params: dict[str, Any] | None = None,
    after_run: str | None = None,
    now: datetime | None = None,
) -> tuple[Run, list[Message]]:
    """Opens the run that is wanted, or finds it, and starts it when nothing stands in its way.

    Args:
        parts: what the verb works with.
        pipeline: its name.
        trigger: who asks; ``schedule`` makes it a scheduled run, whose slot comes from the schedule.
        request: names the request, so that a message delivered twice opens one run.
        params: values for the run, JSON-like.
        after_run: the run whose backlog this one goes on with.
        now: the clock, when not the ledger's.

    Raises UnknownPipeline, CatalogError, TransientError.
    """
    declared = parts.catalog.get(pipeline)
    if "\\u0000" in json.dumps(params or {}):
        raise ConfigurationError("A parameter holds a NUL character, which PostgreSQL cannot keep: leave it out.")
    new = _new_run(
        declared,
        trigger=trigger,
        request=request,
        params=params or {},
        after=None if after_run is None else parts.ledger.runs.get(after_run),
        now=now or parts.ledger.runs.now(),
    )
    opened: Opened = parts.ledger.runs.open(new)
    if opened.run.state.ended:
        return opened.run, []
    # A second tick drives the run as well: the first one's sender may have died after its commit.
    with parts.ledger.runs.lock(opened.run.id) as locked:
        messages = drive(locked)
        return locked.run, messages


def follow_up(parts: Parts, *, pipeline: str, after_run: str) -> tuple[Run, list[Message]]:
    """Goes on with the backlog that ``after_run`` left; one run has one follow-up, however often this is sent."""
    return start_run(parts, pipeline=pipeline, trigger=BACKLOG, after_run=after_run)


def _new_run(
    declared: Pipeline,
    *,
    trigger: str,
    request: str | None,
    params: dict[str, Any],
    after: Run | None,
    now: datetime,
) -> NewRun:
    schedule = declared.schedule
    slot = schedule.slot_at(now) if schedule is not None else None
    window: tuple[datetime | None, datetime | None]
    window = (schedule.slot_before(slot), slot) if schedule is not None and slot is not None else (None, None)
    steps = tuple((step.name, step.after) for step in declared.steps)
    kind = Kind.MANUAL
    if after is not None:
        # The rest of what that run would have read, in that run's window.
        kind, request, window = Kind.FOLLOW_UP, f"backlog:{after.id}", (after.window_start, after.window_end)
    elif trigger == SCHEDULE and slot is not None:
        kind, request = Kind.SCHEDULED, None
    scheduled = kind is Kind.SCHEDULED
    return NewRun(
        pipeline=declared.name,
        kind=kind,
        trigger=trigger,
        slot=slot if scheduled else None,
        window_start=window[0],
        window_end=now if kind is Kind.MANUAL and window[0] is not None else window[1],
        params=params,
        request=request,
        steps=steps,
        queue=not scheduled or declared.overlap == "queue",
    )

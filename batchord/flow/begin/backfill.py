"""Fills a range of the past: opens a run for each window of the schedule in it, the oldest first."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from batchord.core.calendar.schedules import slots_between, window_of
from batchord.core.declared.pipelines import Pipeline
from batchord.core.errors import ConfigurationError
from batchord.core.run.history import Actor
from batchord.core.run.messages import Message
from batchord.core.run.runs import Kind, Run
from batchord.flow.begin.slots import schedule_now
from batchord.flow.begin.start import new_run, open_run
from batchord.flow.parts import Parts
from batchord.flow.upkeep.history import change

#: The most windows of one call.
MOST_WINDOWS = 10_000


def fill_windows(
    parts: Parts,
    *,
    pipeline: str,
    start: datetime,
    end: datetime,
    params: dict[str, Any] | None = None,
    actor: Actor | None = None,
) -> tuple[list[Run], list[Message]]:
    """Opens a run for each window between ``start`` and ``end``, unless a backfill of it is queued or running.

    These runs start after all other queued runs of the pipeline. At most its ``max_active_runs`` of them work at once.
    A pipeline that is not scheduled by time has one window: the whole range. ``actor``: the person for the history. It
    gets one entry for all windows, with the first run.

    Raises UnknownPipeline; ConfigurationError for a range without a window, or with more than 10,000.
    """
    declared = parts.catalog.get(pipeline)
    if start >= end:
        raise ConfigurationError(f"The range is empty: {start.isoformat()} is not before {end.isoformat()}.")
    if declared.sees_everything:
        raise ConfigurationError(
            f"{pipeline} has no window: its sources do not read one (:window_start and :window_end in SQL). Every run "
            "predicts all records that have no prediction yet. Run it without --from and --to."
        )
    taken = parts.ledger.pipelines.open_windows(pipeline)
    windows = [window for window in _windows(parts, declared, start, end) if window not in taken]
    detail = {"from": start.isoformat(), "to": end.isoformat(), "windows": len(windows), "params": params or None}
    noted = change(parts, actor, "backfill", pipeline=pipeline, detail=detail)
    batch = uuid4()
    runs: list[Run] = []
    messages: list[Message] = []
    for window in windows:
        new = replace(
            new_run(declared, Kind.BACKFILL, "backfill"),
            window_start=window[0],
            window_end=window[1],
            params=params or {},
            request=f"backfill:{batch}:{window[1].isoformat()}",
            change=None if runs else noted,
        )
        run, said = open_run(parts, new, drives=len(runs) < declared.max_active_runs)
        runs.append(run)
        messages += said
    return runs, messages


def _windows(parts: Parts, declared: Pipeline, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    schedule = schedule_now(declared, parts.ledger.pipelines.standing(declared.name))
    if schedule is None:
        return [(start, end)]
    slots = slots_between(schedule, start, end, limit=MOST_WINDOWS + 1)
    windows = [window for window in (window_of(schedule, slot) for slot in slots) if window[0] >= start]
    if not windows:
        raise ConfigurationError(
            f"No window of {declared.name} ({schedule}) lies between {start.isoformat()} and {end.isoformat()}. "
            "A window reaches from one fire time to the next. Give a longer range."
        )
    if len(windows) > MOST_WINDOWS:
        raise ConfigurationError(f"The range has more than {MOST_WINDOWS:,} windows. Fill it in several parts.")
    return windows

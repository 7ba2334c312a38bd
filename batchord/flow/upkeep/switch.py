"""Pauses and resumes pipelines, and changes their schedules, at run time."""

import logging

from batchord.core.calendar.schedules import AfterPipeline, Schedule
from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.run.history import Actor
from batchord.flow.parts import Parts
from batchord.flow.upkeep.history import change

log = logging.getLogger(__name__)


def pause(parts: Parts, *, pipeline: str, paused: bool, actor: Actor | None = None) -> bool:
    """Stops or allows runs by schedule and event. Other runs continue. Returns False if nothing changed.

    ``actor``: the person for the history. Raises UnknownPipeline.
    """
    parts.catalog.get(pipeline)
    noted = change(parts, actor, "pause" if paused else "resume", pipeline=pipeline)
    changed = parts.ledger.pipelines.pause(pipeline, paused=paused, change=noted)
    show_switched(parts)
    return changed


def reschedule(parts: Parts, *, pipeline: str, schedule: Schedule | None, actor: Actor | None = None) -> None:
    """Sets the pipeline's schedule, also across restarts; None: the file's schedule holds again.

    ``actor``: the person for the history. Raises UnknownPipeline. Raises ConfigurationError for a schedule with
    problems, and for a pipeline that follows another one.
    """
    declared = parts.catalog.get(pipeline)
    # None is always allowed: the file may have changed after somebody switched the schedule.
    if schedule is not None and isinstance(declared.schedule, AfterPipeline):
        raise ConfigurationError(
            f"{pipeline} follows {declared.schedule.pipeline} and has no schedule of its own. Change this in its file."
        )
    if schedule is not None and (problems := schedule.problems()):
        raise ConfigurationError("; ".join(problems))
    detail = {"schedule": "by its file" if schedule is None else str(schedule)}
    noted = change(parts, actor, "schedule", pipeline=pipeline, detail=detail)
    parts.ledger.pipelines.reschedule(pipeline, None if schedule is None else schedule.to_json(), change=noted)
    show_switched(parts)


def show_switched(parts: Parts) -> None:
    """Shows beat what is paused or scheduled differently. If Redis is away, the sweeper does so later."""
    try:
        parts.switchboard.show(parts.ledger.pipelines.switched())
    except TransientError as error:
        log.warning("Beat does not know the new schedule or pause yet: %s", error)

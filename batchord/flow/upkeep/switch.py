"""What a person switches at run time: a pipeline is paused, resumed, or scheduled differently."""

import logging

from batchord.core.calendar.schedules import AfterPipeline, Schedule
from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.run.history import Actor
from batchord.flow.parts import Parts
from batchord.flow.upkeep.history import change

log = logging.getLogger(__name__)


def pause(parts: Parts, *, pipeline: str, paused: bool, actor: Actor | None = None) -> bool:
    """Pauses or resumes ticks and events; runs by hand, and those at work, go on. False when it was so already.

    ``actor``: who is noted for it. Raises UnknownPipeline.
    """
    parts.catalog.get(pipeline)
    noted = change(parts, actor, "pause" if paused else "resume", pipeline=pipeline)
    changed = parts.ledger.pipelines.pause(pipeline, paused=paused, change=noted)
    show_switched(parts)
    return changed


def reschedule(parts: Parts, *, pipeline: str, schedule: Schedule | None, actor: Actor | None = None) -> None:
    """Schedules the pipeline by this from now on, across restarts; None: by its file again.

    ``actor``: who is noted for it. Raises UnknownPipeline; ConfigurationError for a schedule with problems, or a
    pipeline that follows another.
    """
    declared = parts.catalog.get(pipeline)
    # None is always possible: the file may have been changed after it was switched.
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
    """Lets beat see what is switched. Where Redis is away the sweeper does, seconds later."""
    try:
        parts.switchboard.show(parts.ledger.pipelines.switched())
    except TransientError as error:
        log.warning("Beat does not know the new schedule or pause yet: %s", error)

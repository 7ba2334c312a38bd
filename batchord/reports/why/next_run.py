"""When the next run of a pipeline starts."""

from dataclasses import dataclass
from datetime import datetime

from batchord.core.calendar.schedules import window_of
from batchord.core.declared.pipelines import Pipeline
from batchord.core.run.standing import Standing
from batchord.flow.begin.slots import schedule_now


@dataclass(frozen=True, kw_only=True)
class NextRun:
    """What starts the next run."""

    sentence: str
    #: The next slot; None if no schedule starts the run.
    at: datetime | None = None


def next_run(declared: Pipeline, standing: Standing) -> NextRun:
    """What starts the pipeline's next run, by the schedule that holds now."""
    name, schedule = declared.name, schedule_now(declared, standing)
    by_hand = f"`batchord run {name}` starts one"
    if (schedule is not None or declared.after is not None) and standing.paused_at is not None:
        since = f"{standing.paused_at:%Y-%m-%d %H:%M:%S %Z}"
        return NextRun(sentence=f"{name} is paused since {since}: `batchord resume {name}`, or {by_hand}.")
    if declared.after is not None:
        states = " or ".join(declared.after.states)
        return NextRun(sentence=f"The next run starts when a run of {declared.after.pipeline} ends as {states}.")
    if schedule is None:
        return NextRun(sentence=f"{name} has no schedule: {by_hand}.")
    slot = schedule.slot_after(standing.now)
    if slot is None:
        return NextRun(sentence=f"The schedule of {name} never comes again: {by_hand}.")
    later = f", and up to {declared.jitter} later" if declared.jitter else ""
    return NextRun(sentence=f"The next run starts at {slot:%Y-%m-%d %H:%M:%S %Z}{later}; {by_hand} now.", at=slot)


def next_window_start(declared: Pipeline, standing: Standing) -> datetime | None:
    """The start of the first window that a coming run by schedule reads; None if no schedule starts runs."""
    schedule = schedule_now(declared, standing)
    if schedule is None:
        return None
    newest = schedule.slot_at(standing.now)
    if newest is not None and (standing.last_slot is None or standing.last_slot < newest):
        # The run of this slot is still to come, and with catchup="all" the runs of all slots since the last.
        is_all = declared.catchup == "all" and standing.last_slot is not None
        return standing.last_slot if is_all else window_of(schedule, newest)[0]
    following = schedule.slot_after(standing.now)
    return None if following is None else window_of(schedule, following)[0]

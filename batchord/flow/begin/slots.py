"""The slots and windows of a pipeline's runs."""

from datetime import datetime

from batchord.core.calendar.schedules import EARLIEST, Schedule, slots_between, window_of
from batchord.core.declared.pipelines import Pipeline
from batchord.core.run.standing import Standing

#: The most runs that one tick opens. The next check for missed ticks opens more.
MOST_SLOTS = 1000


def schedule_now(declared: Pipeline, standing: Standing) -> Schedule | None:
    """The schedule that holds now: the one that a person set, or else that of the file; None: not by time."""
    return declared.scheduled_by(standing.schedule)


def due_slots(declared: Pipeline, schedule: Schedule, standing: Standing, now: datetime) -> list[datetime]:
    """The slots for which a tick at ``now`` opens runs: the newest, or all since the last run's, the oldest first."""
    newest = schedule.slot_at(now)
    if newest is None or (standing.scheduled_at is not None and newest <= standing.scheduled_at):
        return []
    if declared.catchup == "all" and standing.last_slot is not None and standing.last_slot < newest:
        since = max(standing.last_slot, standing.scheduled_at or standing.last_slot)
        return slots_between(schedule, since, now, limit=MOST_SLOTS)
    return [newest]


def missed(schedule: Schedule, standing: Standing, before: datetime) -> bool:
    """Whether the newest slot at ``before`` has no run, although the pipeline was already scheduled at that slot."""
    slot = schedule.slot_at(before)
    known_since = max(standing.first_seen_at, standing.scheduled_at or standing.first_seen_at)
    if slot is None or slot <= known_since:
        return False
    return standing.last_slot is None or standing.last_slot < slot


def window_by_hand(schedule: Schedule | None, standing: Standing | None, now: datetime) -> tuple[datetime, datetime]:
    """The window of a run by hand: from the start of the newest slot's window up to now.

    Without a schedule by time, it starts at the end of the window of the newest run that succeeded, or at the beginning
    of time. ``standing`` is None for a pipeline that the ledger does not know.
    """
    slot = None if schedule is None else schedule.slot_at(now)
    if schedule is None or slot is None:
        last_end = None if standing is None else standing.last_window_end
        return min(last_end or EARLIEST, now), now
    return window_of(schedule, slot)[0], now

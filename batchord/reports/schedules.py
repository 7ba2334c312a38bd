"""When pipelines run next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from batchord.core.declared.pipelines import Pipeline
from batchord.core.run.standing import Standing
from batchord.flow.begin.slots import schedule_now
from batchord.reports.pipelines import BY_HAND

if TYPE_CHECKING:
    from batchord.flow.parts import Parts

#: How many fire times are shown.
_NEXT = 3


@dataclass(frozen=True, kw_only=True)
class ScheduleReport:
    """When a pipeline runs."""

    #: The schedule that holds now; None: not by time.
    schedule: str | None
    #: The schedule in its file.
    file: str
    #: Whether a person replaced the schedule of its file.
    switched: bool
    paused: bool
    next: Sequence[datetime]

    @property
    def when(self) -> str:
        """When it runs, for people."""
        return self.schedule or self.file

    @property
    def set_by(self) -> str:
        """What set the schedule, for people."""
        return f"this command; its file says {self.file}" if self.switched else "its file"


def schedules(parts: "Parts", names: Sequence[str]) -> dict[str, ScheduleReport]:
    """The schedule of each pipeline. Raises UnknownPipeline."""
    standings = parts.ledger.pipelines.standings(names)
    return {name: schedule_of(parts.catalog.get(name), standings[name]) for name in names}


def schedule_of(declared: Pipeline, standing: Standing) -> ScheduleReport:
    """The schedule of a pipeline, and its next fire times."""
    effective = schedule_now(declared, standing)
    upcoming: list[datetime] = []
    moment = standing.now
    while effective is not None and len(upcoming) < _NEXT and (slot := effective.slot_after(moment)) is not None:
        upcoming.append(slot)
        moment = slot
    return ScheduleReport(
        schedule=None if effective is None else str(effective),
        file=BY_HAND if declared.schedule is None else str(declared.schedule),
        switched=standing.schedule is not None,
        paused=standing.paused_at is not None,
        next=upcoming,
    )

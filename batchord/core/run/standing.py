"""The state of a pipeline: when it ran, and what people switched."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The state of a pipeline."""

    #: The time by the database's clock.
    now: datetime
    #: When Batchord first saw the pipeline. Earlier fire times get no run.
    first_seen_at: datetime
    #: When the pipeline was paused; None: ticks and events start runs.
    paused_at: datetime | None
    #: When the pipeline was last paused or resumed; None: never.
    switched_at: datetime | None
    #: When a person last changed the schedule, or set it back to the file's. Earlier fire times get no run.
    scheduled_at: datetime | None
    #: The schedule that a person set instead of the file's, as JSON; None: the file's schedule holds.
    schedule: dict[str, Any] | None
    #: The newest slot that has a scheduled run.
    last_slot: datetime | None
    #: The end of the window of the newest run that succeeded; None if what it predicted was reset since.
    last_window_end: datetime | None
    #: When the newest run that succeeded ended.
    last_success_at: datetime | None
    #: When the running run started; the oldest if there are several.
    running_since: datetime | None
    running_id: str | None

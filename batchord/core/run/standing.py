"""How things stand with a pipeline: when it ran, and what was switched."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How things stand with a pipeline."""

    #: The database's clock.
    now: datetime
    #: When it was first looked at: fire times before that are nobody's.
    first_seen_at: datetime
    #: None: ticks and events start runs.
    paused_at: datetime | None
    #: When it was paused or resumed last; None: never.
    switched_at: datetime | None
    #: When it was scheduled differently last, or by its file again: fire times before that are nobody's.
    scheduled_at: datetime | None
    #: What it is scheduled by instead of its file's schedule, as JSON; None: by the file's.
    schedule: dict[str, Any] | None
    #: The newest slot that has a scheduled run.
    last_slot: datetime | None
    #: Up to where the newest run that succeeded looked.
    last_window_end: datetime | None
    #: When the newest run that succeeded ended.
    last_success_at: datetime | None
    #: When the run at work was started, the oldest if there are several.
    running_since: datetime | None
    running_id: str | None

"""Pipelines become RedBeat entries.

An entry says when a tick is sent; which slot the tick stands for is computed from the pipeline's schedule by
whoever receives it. So an entry may fire too often, but never too seldom: a tick whose slot has its run
already changes nothing.
"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from celery.schedules import crontab, schedule
from redbeat import RedBeatScheduler

from app.catalog import Catalog
from app.core.pipelines import Pipeline
from app.core.schedules import Cron, Every
from app.settings import Settings, settings

_MINUTE, _HOUR = 60, 3600


class PipelineScheduler(RedBeatScheduler):  # type: ignore[misc]
    """RedBeat with the catalog's pipelines as its static entries: renamed and removed ones disappear."""

    def setup_schedule(self) -> None:
        """Installs the entries; those that were there keep the time of their last tick."""
        catalog = Catalog(settings().pipelines)
        for problem in catalog.problems:
            self.logger.error("Not scheduled: %s", problem)
        self.app.conf.beat_schedule = entries(catalog, settings())
        super().setup_schedule()


def entries(catalog: Catalog, configured: Settings) -> dict[str, dict[str, Any]]:
    """Beat's entries: one for each pipeline with a schedule, and the sweeper's."""
    found: dict[str, dict[str, Any]] = {
        "sweep": {
            "task": "batchord.sweep",
            "schedule": schedule(configured.sweep_seconds),
            # When workers were away for an hour, one sweep is enough.
            "options": {"queue": "control", "expires": configured.sweep_seconds},
        }
    }
    for name in catalog.names():
        pipeline = catalog.get(name)
        if pipeline.schedule is not None:
            found[f"pipeline:{name}"] = _entry(pipeline)
    return found


def _entry(pipeline: Pipeline) -> dict[str, Any]:
    fires = pipeline.schedule
    options: dict[str, Any] = {"queue": "control"}
    if isinstance(fires, Every):
        seconds = fires.interval.total_seconds()
        # The next tick stands for everything that an unread one would have found.
        options["expires"] = max(seconds, _MINUTE)
        when = _aligned(seconds) or schedule(fires.interval)
    elif isinstance(fires, Cron):
        when = _crontab(fires)
    else:
        when = schedule(_MINUTE)
    return {
        "task": "batchord.start_run",
        "schedule": when,
        "kwargs": {"pipeline": pipeline.name, "trigger": "schedule"},
        "options": options,
    }


def _aligned(seconds: float) -> crontab | None:
    """A crontab that fires exactly at the slots, where one exists; an interval would drift from them."""
    if seconds % _MINUTE == 0 and _HOUR % seconds == 0:
        return crontab(minute=f"*/{int(seconds // _MINUTE)}")
    if seconds % _HOUR == 0 and (24 * _HOUR) % seconds == 0:
        return crontab(minute="0", hour=f"*/{int(seconds // _HOUR)}")
    return None


def _crontab(cron: Cron) -> crontab:
    """RedBeat knows one time zone for all entries: an entry for another one fires whenever it might be due."""
    minute, hour, day, month, weekday = cron.expression.split()
    zone = ZoneInfo(cron.time_zone)
    if cron.time_zone == "UTC":
        return crontab(minute=minute, hour=hour, day_of_month=day, month_of_year=month, day_of_week=weekday)
    year = datetime.now(UTC).year
    offsets = [datetime(year, month, 1, tzinfo=zone).utcoffset() for month in range(1, 13)]
    if all(offset is not None and offset.total_seconds() % _HOUR == 0 for offset in offsets):
        return crontab(minute=minute)
    return crontab()

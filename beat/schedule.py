"""Pipelines become RedBeat entries.

An entry says when a tick is sent; which slot the tick stands for is computed from the pipeline's schedule by
whoever receives it. So an entry may fire too often, but never too seldom: a tick whose slot has its run
already changes nothing.
"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from celery.schedules import ParseException, crontab, schedule
from redbeat import RedBeatScheduler
from redbeat.schedulers import get_redis

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

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Sends what is due; returns the seconds until it wants to be called again."""
        self._mend_last_runs()
        interval: float = super().tick(*args, **kwargs)
        return interval

    def _mend_last_runs(self) -> None:
        """When the clock steps back by an hour, nothing would be due for an hour, not even the sweeper.

        Whatever last ran in the future is taken to have run now. Asked in Redis, where the next beat finds it
        too, for the price of one round trip: comparing this process's clocks would miss a step between two beats.
        """
        now = self.app.now()
        keys = [self.Entry.generate_key(self.app, name) for name in self.app.conf.beat_schedule]
        with get_redis(self.app).pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(key, "meta")
            metas = pipe.execute()
        for key, meta in zip(keys, metas, strict=True):
            last_run = self.Entry.decode_meta(meta)["last_run_at"]
            if last_run is not None and last_run > now:
                self.logger.warning("%s last ran at %s: the clock stepped back.", key, last_run)
                self.Entry.from_key(key, app=self.app).reschedule(now)


def entries(catalog: Catalog, configured: Settings) -> dict[str, dict[str, Any]]:
    """Beat's entries: one for each pipeline with a schedule, the sweeper's and the daily audit's."""
    found: dict[str, dict[str, Any]] = {
        "sweep": {
            "task": "batchord.sweep",
            "schedule": schedule(configured.sweep_seconds),
            # When workers were away for an hour, a few sweeps are enough. Not fewer: the clock of beat's machine
            # may be behind the workers', and each sweep would have expired when it comes.
            "options": {"queue": "control", "expires": max(configured.sweep_seconds, _MINUTE)},
        }
    }
    found["audit"] = {
        "task": "batchord.audit",
        "schedule": crontab(minute="17", hour="4"),
        "options": {"queue": "control", "expires": _HOUR},
    }
    for name in catalog.names():
        pipeline = catalog.get(name)
        if pipeline.schedule is not None:
            found[f"pipeline:{name}"] = _entry(pipeline)
    return found


def _entry(pipeline: Pipeline) -> dict[str, Any]:
    fires = pipeline.schedule
    options: dict[str, Any] = {"queue": "control", "ignore_result": True}
    if isinstance(fires, Every):
        seconds = fires.interval.total_seconds()
        # The next tick stands for everything that an unread one would have found.
        options["expires"] = max(seconds, _MINUTE)
        # relative: whole seconds (from a minute on: minutes), or each tick would come later in its slot than the
        # one before and one slot would be passed over in the end.
        when = _aligned(seconds) or schedule(fires.interval, relative=True)
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
    """The narrowest crontab that fires whenever ``cron`` does.

    Celery reads five fields in one time zone, knows neither ``L`` nor ``#`` nor weekday 7, and wants day of
    month and day of week to agree, where cron takes either. Where the two differ, the entry fires each hour, or
    each minute, and the slot tells which of these ticks counts.
    """
    minute, hour, day, month, weekday = cron.expression.split()
    try:
        if cron.time_zone == "UTC" and "*" in (day[:1], weekday[:1]):
            return crontab(minute=minute, hour=hour, day_of_month=day, month_of_year=month, day_of_week=weekday)
        if _has_whole_hours(cron.time_zone):
            return crontab(minute=minute)
    except (ParseException, ValueError):  # a word that Celery does not know
        return crontab()
    return crontab()


def _has_whole_hours(time_zone: str) -> bool:
    zone, year = ZoneInfo(time_zone), datetime.now(UTC).year
    offsets = [datetime(year, month, 1, tzinfo=zone).utcoffset() for month in range(1, 13)]
    return all(offset is not None and offset.total_seconds() % _HOUR == 0 for offset in offsets)

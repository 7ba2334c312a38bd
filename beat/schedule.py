"""Turns pipelines into entries of RedBeat.

A pipeline's entry is due when the pipeline's own schedule has a new slot. The worker that receives a tick computes the
slot from the same schedule. If the slot has its run already, the tick changes nothing.
"""

import contextlib
import json
import logging
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar

from celery import Celery
from celery.schedules import crontab, schedstate, schedule
from redbeat import RedBeatScheduler, RedBeatSchedulerEntry
from redbeat.schedulers import get_redis

from batchord.catalog import LiveCatalog, Snapshot
from batchord.core.calendar.daily import AUDIT
from batchord.core.calendar.schedules import AfterPipeline, Schedule
from batchord.core.declared.pipelines import Pipeline
from batchord.core.errors import ConfigurationError
from batchord.core.process.switches import SWITCHED_KEY
from batchord.core.run.messages import VERSION
from batchord.queue.redis_server import check_redis
from batchord.settings import Settings, settings

from .edits import Edits

log = logging.getLogger(__name__)

_MINUTE, _HOUR = 60, 3600
#: When an entry without a next tick is checked again. A switch at run time is seen at beat's next tick anyway.
_IDLE_SECONDS = 3600.0
#: How often beat looks for entries that last ran in the future. It has to ask Redis for each entry.
_MEND_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Fires:
    """When a pipeline's ticks are sent."""

    #: None: the pipeline has no schedule by time.
    schedule: Schedule | None
    #: How long after its slot a tick is sent.
    offset: timedelta = timedelta(0)
    paused: bool = False

    def next_tick(self, last: datetime | None, now: datetime) -> datetime | None:
        """When the first tick after the one at ``last`` is due; ``now`` if it is overdue, None if there is none.

        If there was no last tick, the newest slot that has passed is due at once.
        """
        if self.schedule is None or self.paused:
            return None
        if last is None:
            newest = self.schedule.slot_at(now - self.offset)
            if newest is not None:
                return now
            last = now
        slot = self.schedule.slot_after(last - self.offset)
        return None if slot is None else max(now, slot + self.offset)


class PipelineEntry(RedBeatSchedulerEntry):  # type: ignore[misc]
    """An entry of RedBeat. A pipeline's entry is due when the pipeline's schedule says so.

    RedBeat stores one of Celery's schedules with each entry. For a pipeline's entry it is not used: Celery's crontabs
    have a single time zone, no seconds, no ``L`` and ``#``, and no schedule that fires once.
    """

    #: When pipelines' ticks are sent, by the names of their entries.
    fires: ClassVar[dict[str, Fires]] = {}

    def is_due(self) -> Any:
        """Whether to send a tick now, and in how many seconds to ask again."""
        fires = self.fires.get(self.name)
        if fires is None:
            return super().is_due()
        now = self._default_now()
        due = fires.next_tick(self.last_run_at, now)
        if due is None or due > now:
            return schedstate(False, _IDLE_SECONDS if due is None else (due - now).total_seconds())  # noqa: FBT003 -- Celery's
        following = fires.next_tick(now, now)
        return schedstate(True, _IDLE_SECONDS if following is None else (following - now).total_seconds())  # noqa: FBT003

    @property
    def due_at(self) -> datetime | None:
        """When the entry is due; None: never. RedBeat orders entries by it."""
        fires = self.fires.get(self.name)
        if fires is None:
            due: datetime | None = super().due_at
            return due
        return fires.next_tick(self.last_run_at, self._default_now())


class PipelineScheduler(RedBeatScheduler):  # type: ignore[misc]
    """RedBeat with the catalog's pipelines as its static entries. Renamed and removed pipelines disappear."""

    Entry = PipelineEntry

    def __init__(self, app: Celery, *args: Any, **kwargs: Any) -> None:
        """Ends the process with one line if Redis refuses the connection. If Redis does not answer, beat waits."""
        if "redbeat_redis_url" not in app.conf:
            # Only beat has this setting: Celery shows settings, and does not know that this one holds a password.
            app.conf.redbeat_redis_url = app.conf.broker_url
        configured = settings()
        try:
            if configured.redis_url is not None:
                check_redis(configured.require_redis_url())
            if configured.database_url is not None:
                configured.require_database_url()
        except ConfigurationError as error:
            sys.exit(f"Error: {error}")
        super().__init__(app, *args, **kwargs)

    def setup_schedule(self) -> None:
        """Installs the entries. Existing entries keep the time of their last tick."""
        self._edits = Edits(LiveCatalog(settings().pipelines, settings().home, decides=True))
        self._catalog = self._edits.newest
        self._switched: str | None = None
        self._mended_at = float("-inf")
        for problem in self._catalog.problems:
            self.logger.error("Not scheduled: %s", problem)
        self.app.conf.beat_schedule = entries(self._catalog, settings())
        PipelineEntry.fires = fires(self._catalog, {})
        super().setup_schedule()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Sends the ticks that are due. Returns the seconds until the next call."""
        self._take_up_edits()
        self._take_up_switches()
        if time.monotonic() - self._mended_at >= _MEND_SECONDS:
            self._mend_last_runs()
            self._mended_at = time.monotonic()
        interval: float = super().tick(*args, **kwargs)
        return interval

    def _take_up_switches(self) -> None:
        """Takes up what people have paused, resumed or scheduled differently. Workers show it in Redis."""
        switched = get_redis(self.app).get(SWITCHED_KEY)
        if switched == self._switched:
            return
        self._switched = switched
        self._fire_by(fires(self._catalog, _switches(switched)))

    def _take_up_edits(self) -> None:
        """Takes up pipelines that were added, removed or scheduled differently in their files since the last look."""
        self._edits.look()
        newest = self._edits.newest
        if newest is self._catalog:
            return
        logged_problems, self._catalog = self._catalog.problems, newest
        for problem in newest.problems:
            if problem not in logged_problems:
                self.logger.error("%s", problem)
        before, now = self.app.conf.beat_schedule, entries(newest, settings())
        client, statics = get_redis(self.app), self.app.redbeat_conf.statics_key
        self.app.conf.beat_schedule = self.app.redbeat_conf.schedule = now
        self._fire_by(fires(newest, _switches(self._switched)), in_redis=before)
        added = {name: entry for name, entry in now.items() if name not in before}
        if added:
            self.update_from_dict(added)
            client.sadd(statics, *added)
        for name in before.keys() - now.keys():
            self.logger.info("%s is no longer scheduled: no file declares it.", name)
            with contextlib.suppress(KeyError):
                self.Entry.from_key(self.Entry.generate_key(self.app, name), app=self.app).delete()
            client.srem(statics, name)

    def _fire_by(self, new: dict[str, Fires], in_redis: Collection[str] | None = None) -> None:
        """Sends ticks by ``new`` from now on. ``in_redis``: the entries that Redis has; None: all."""
        before, PipelineEntry.fires = PipelineEntry.fires, new
        for name, now in new.items():
            if before.get(name) != now and (in_redis is None or name in in_redis):
                self.logger.info("%s has a new schedule: %s%s", name, now.schedule, ", paused" if now.paused else "")
                # Saving gives the entry its new place in RedBeat's order. The time of its last tick stays.
                self.Entry.from_key(self.Entry.generate_key(self.app, name), app=self.app).save()

    def _mend_last_runs(self) -> None:
        """Sets the last run of entries that last ran in the future to now.

        Without this, nothing would be due for an hour after the clock steps back by an hour, not even the sweeper. It
        reads the times in Redis, where the next beat finds them, too. Comparing this process's clocks would miss a step
        between two beats.
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
                self.logger.warning(
                    "%s last ran at %s, which is in the future: the clock stepped back. Its last run is set to now.",
                    key,
                    last_run,
                )
                self.Entry.from_key(key, app=self.app).reschedule(now)


def entries(catalog: Snapshot, configured: Settings) -> dict[str, dict[str, Any]]:
    """Beat's entries: one for each pipeline that can have a schedule by time, and those of the upkeep."""
    sweep, watch = configured.sweep_seconds, configured.watch_seconds
    by_name: dict[str, dict[str, Any]] = {
        # Sweeps expire: after workers were away for an hour, a few sweeps are enough. But they live at least a minute:
        # if the clock of beat's machine is behind the workers', shorter-lived sweeps would arrive expired.
        "sweep": _upkeep("batchord.sweep", schedule(sweep), expires=max(sweep, _MINUTE)),
        "watch": _upkeep("batchord.watch", schedule(watch), expires=max(watch, _MINUTE)),
        "audit": _upkeep("batchord.audit", crontab(minute=str(AUDIT.minute), hour=str(AUDIT.hour)), expires=_HOUR),
        "prune": _upkeep("batchord.prune", crontab(minute="47", hour="3"), expires=_HOUR),
    }
    for name in catalog.names():
        pipeline = catalog.get(name)
        if not isinstance(pipeline.schedule, AfterPipeline):
            by_name[f"pipeline:{name}"] = _entry(pipeline)
    return by_name


def _switches(text: str | None) -> dict[str, Any]:
    """The switches that Redis holds; none if they cannot be read. The next sweep, which beat starts, rewrites them."""
    try:
        switches = json.loads(text or "{}")
    except ValueError:
        switches = None
    if isinstance(switches, dict) and all(isinstance(switch, dict) for switch in switches.values()):
        return switches
    log.error(
        "Beat cannot read the schedules that were changed at run time from Redis (%s). It uses the files' schedules.",
        SWITCHED_KEY,
    )
    return {}


def fires(catalog: Snapshot, switched: Mapping[str, Mapping[str, Any]]) -> dict[str, Fires]:
    """When each pipeline's ticks are sent, by its entry's name. ``switched``: what people switched at run time."""
    by_name = {}
    for name in catalog.names():
        pipeline = catalog.get(name)
        if isinstance(pipeline.schedule, AfterPipeline):
            continue
        switch = switched.get(name, {})
        by_name[f"pipeline:{name}"] = Fires(
            schedule=pipeline.scheduled_by(switch.get("schedule")),
            offset=offset(name, pipeline.jitter),
            paused=bool(switch.get("paused")),
        )
    return by_name


def offset(name: str, jitter: timedelta) -> timedelta:
    """A part of ``jitter``, always the same for a pipeline of this name, evenly spread over names."""
    return jitter * (int.from_bytes(sha256(name.encode()).digest()[:8]) / 2**64)


def _upkeep(task: str, when: object, *, expires: float) -> dict[str, Any]:
    options = {"queue": "control", "expires": expires}
    return {"task": task, "schedule": when, "kwargs": {"version": VERSION}, "options": options}


def _entry(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "task": "batchord.start_run",
        "schedule": schedule(_MINUTE),  # not used: see PipelineEntry
        "kwargs": {"pipeline": pipeline.name, "trigger": "schedule", "version": VERSION},
        # An old tick is useless: the next tick, or the watch, opens the run that it would have opened.
        "options": {"queue": "control", "ignore_result": True, "expires": _HOUR},
    }

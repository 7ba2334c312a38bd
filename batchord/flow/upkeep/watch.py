"""Watches for lost ticks, old records, and runs that take too long: nobody else would notice them."""

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import BatchordError, ConfigurationError, TransientError
from batchord.core.run.alerts import AlertKind, NewAlert
from batchord.core.run.messages import AlertsKept, Message
from batchord.core.run.records import is_beyond_python
from batchord.core.run.standing import Standing
from batchord.flow.begin.slots import missed, schedule_now
from batchord.flow.begin.start import tick
from batchord.flow.drive.end_alerts import look
from batchord.flow.parts import Parts
from batchord.flow.predict.plan import CHUNK_ROWS
from batchord.flow.upkeep.watch_files import watch_files

log = logging.getLogger(__name__)

#: How long after its slot a tick may still be under way.
GRACE = timedelta(seconds=30)
#: How long one check of all sources may take, and how long one of its statements.
_LOOK_SECONDS = 20.0
_SOURCE_TIME = timedelta(seconds=10)


def watch(parts: Parts) -> list[Message]:
    """Opens runs for lost ticks, and keeps alerts for exceeded limits. Beat starts it.

    Sources are checked last and only for a short time, so that a source that hangs delays no tick.
    """
    standings = parts.ledger.pipelines.standings(parts.catalog.names())
    messages: list[Message] = []
    any_alert = watch_files(parts)
    for name, standing in standings.items():
        with _by_itself(name):
            declared = parts.catalog.get(name)
            messages += _missed_ticks(parts, declared, standing)
            any_alert |= _long_run(parts, declared, standing)
            any_alert |= _silence(parts, declared, standing)
    end = time.monotonic() + _LOOK_SECONDS
    for name, standing in random.sample(list(standings.items()), len(standings)):  # next time, others come first
        if time.monotonic() >= end:
            break
        with _by_itself(name):
            any_alert |= _old_records(parts, parts.catalog.get(name), standing)
    return [*messages, AlertsKept()] if any_alert else messages


@contextmanager
def _by_itself(name: str) -> Iterator[None]:
    """Logs an error of one pipeline, so that the others are watched and the messages are sent."""
    try:
        yield
    except BatchordError as error:
        log.error("Batchord cannot watch %s: %s", name, error)  # noqa: TRY400 -- the message is enough
    except Exception:  # such as an error of an author's own kind of source
        log.exception("Batchord cannot watch %s", name)


def _missed_ticks(parts: Parts, declared: Pipeline, standing: Standing) -> list[Message]:
    schedule = schedule_now(declared, standing)
    if schedule is None or standing.paused_at is not None:
        return []
    if not missed(schedule, standing, standing.now - GRACE - declared.jitter):
        return []
    runs, messages = tick(parts, pipeline=declared.name)
    log.warning("%s missed a tick. It has %s runs for the missed slots now.", declared.name, len(runs))
    return messages


def _long_run(parts: Parts, declared: Pipeline, standing: Standing) -> bool:
    limit, run_id, since = declared.alerts.max_run_time, standing.running_id, standing.running_since
    if limit is None or run_id is None or since is None or standing.now - since <= limit:
        return False
    return parts.ledger.alerts.keep(
        NewAlert(
            event=f"{AlertKind.RUN_TIME}:{run_id}",
            kind=AlertKind.RUN_TIME,
            pipeline=declared.name,
            run_id=run_id,
            title=f"{declared.name}: a run takes longer than expected",
            message=f"Run {run_id} of {declared.name} has been running for {_time(standing.now - since)}. The limit is "
            f"{_time(limit)}.\n{look(run_id)}",
        ),
        incident=AlertKind.RUN_TIME,
    )


def _silence(parts: Parts, declared: Pipeline, standing: Standing) -> bool:
    limit = declared.alerts.max_time_without_success
    since = standing.last_success_at or standing.first_seen_at
    # A paused pipeline needs no run. After it is resumed, the limit counts from that time.
    since = max(since, standing.switched_at or since)
    if limit is None or standing.paused_at is not None or standing.now - since <= limit:
        return False
    message = (
        f"No run of {declared.name} has succeeded since {since:%Y-%m-%d %H:%M:%S %Z}. The limit is {_time(limit)}.\n"
        f"Look closer: batchord runs --pipeline {declared.name}"
    )
    return _open(parts, declared.name, AlertKind.SILENCE, f"{declared.name}: no run succeeds", message)


def _old_records(parts: Parts, declared: Pipeline, standing: Standing) -> bool:
    limit = declared.alerts.max_record_age
    if limit is None:
        return False
    try:
        oldest = _oldest(parts, declared, standing)
    except (ConfigurationError, TransientError) as error:  # its runs report this, and the next check is soon
        log.warning("The age of the records of %s could not be checked: %s", declared.name, error)
        return False
    if oldest is None or standing.now - oldest <= limit:
        return parts.ledger.alerts.recover(
            AlertKind.RECORD_AGE,
            NewAlert(
                event=f"{AlertKind.RECOVERED}:{AlertKind.RECORD_AGE}:{declared.name}",
                kind=AlertKind.RECOVERED,
                pipeline=declared.name,
                title=f"{declared.name}: records are predicted in time again",
                message=f"No record of {declared.name} waits longer than {_time(limit)} now.",
            ),
        )
    message = (
        f"A record of {declared.name} that arrived at {oldest:%Y-%m-%d %H:%M:%S %Z} has no prediction after "
        f"{_time(standing.now - oldest)}. The limit is {_time(limit)}.\n"
        f"Look closer: batchord plan {declared.name}; batchord runs --pipeline {declared.name}"
    )
    return _open(parts, declared.name, AlertKind.RECORD_AGE, f"{declared.name}: records wait too long", message)


def _oldest(parts: Parts, declared: Pipeline, standing: Standing) -> datetime | None:
    """The arrival of the oldest record above the frontier without a prediction or a rejection."""
    arrivals = [_first_waiting(parts, declared.name, step, standing) for step in declared.predict_steps]
    return min((arrival for arrival in arrivals if arrival is not None), default=None)


def _first_waiting(parts: Parts, pipeline: str, step: Predict, standing: Standing) -> datetime | None:
    if step.source.arrival is None:
        return None
    # Only the audit checks earlier windows: reading them at each check would cost too much.
    since = standing.last_window_end or standing.first_seen_at
    window = (min(since, standing.now), standing.now) if step.source.uses_window else None
    source = parts.open_source(step.source.within(_SOURCE_TIME), window)
    frontier = parts.ledger.planner.frontier(pipeline, step.name, step.source_digest).position
    for chunk in source.keys(after=frontier, chunk_rows=CHUNK_ROWS):
        accounted = parts.ledger.planner.accounted(pipeline, step.name, [position.key for position in chunk])
        waiting = (position.arrival for position in chunk if position.key not in accounted)
        arrival = next((arrival for arrival in waiting if not is_beyond_python(arrival)), None)  # infinity has no age
        if arrival is None:
            continue
        if not isinstance(arrival, datetime) or arrival.tzinfo is None:
            raise ConfigurationError(
                f"max_record_age= of {pipeline} needs an arrival that is a time with a zone, but {step.source.arrival} "
                f"of step {step.name} is {arrival!r}."
            )
        return arrival
    return None


def _open(parts: Parts, pipeline: str, kind: AlertKind, title: str, message: str) -> bool:
    """Opens an incident and keeps one alert for it."""
    alert = NewAlert(event=f"{kind}:{pipeline}", kind=kind, pipeline=pipeline, title=title, message=message)
    return parts.ledger.alerts.begin(kind, alert)


def _time(length: timedelta) -> str:
    """The length to the second, for people, such as ``1:30:00``."""
    return str(timedelta(seconds=round(length.total_seconds())))

"""Runs the same verbs in one process, without a broker: it works off messages as they arise."""

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from functools import partial
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from batchord.core.errors import TransientError
from batchord.core.run.history import Actor
from batchord.core.run.messages import AlertsKept, FollowUp, Message, RunEnded, StepReady
from batchord.core.run.run_ids import short_ids
from batchord.core.run.runs import Run
from batchord.flow.begin.start import start_run
from batchord.flow.dispatch import dispatch
from batchord.flow.parts import Parts
from batchord.flow.predict.shard import ShardHeld
from batchord.flow.upkeep.recover import sweep
from batchord.flow.upkeep.release import hand_back, release_ended
from batchord.processes.local_names import plain_name

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0


def run_local(
    parts: Parts,
    *,
    pipeline: str,
    params: dict[str, Any] | None = None,
    on_progress: Callable[[str], None] | None = None,
    actor: Actor | None = None,
) -> Run:
    """Runs a pipeline to its end, with the follow-up runs for a backlog, and returns the run.

    ``on_progress`` is called with the run's id when the run is open, and after each message. ``actor``: the
    person for the history. Raises what the verbs raise. After Ctrl-C, it frees its work for others and raises
    KeyboardInterrupt.
    """
    try:
        return _run(parts, pipeline, params, on_progress or _nothing, actor)
    except KeyboardInterrupt:
        with suppress(TransientError):  # otherwise the next process sees that this one has ended
            hand_back(parts, pipeline=pipeline)
        raise


def _run(
    parts: Parts,
    pipeline: str,
    params: dict[str, Any] | None,
    on_progress: Callable[[str], None],
    actor: Actor | None,
) -> Run:
    run, messages = start_run(parts, pipeline=pipeline, trigger="local", params=params, actor=actor)
    on_progress(run.id)
    waiting = deque(messages)
    told = False
    while True:
        while waiting:
            waiting.extend(_handle(parts, waiting.popleft()))
            on_progress(run.id)
        run = parts.ledger.runs.get(run.id)
        if run.state.ended:
            return run
        # The earlier run's process may have died. This process then does the work that it lost: at once if it worked
        # by itself on this machine, otherwise when its leases have run out.
        if release_ended(parts, pipeline=pipeline):
            waiting.extend(sweep(parts, older_than_seconds=0, pipeline=pipeline))
            continue
        if not told:
            _tell_of_wait(parts, run)
            told = True
        time.sleep(_POLL_SECONDS)
        waiting.extend(sweep(parts, older_than_seconds=0, pipeline=pipeline))


def _tell_of_wait(parts: Parts, run: Run) -> None:
    """Logs for whom the run waits, and until when if nobody is there any more: a killed worker leaves its lease."""
    short = short_ids(parts.ledger.run_names, [run.id])[run.id]
    said = f"Run {short} of {run.pipeline} waits for an earlier run, or for a worker that works on a part of it."
    holders = parts.ledger.recovery.holders(run.pipeline)
    if holders:
        names = ", ".join(map(plain_name, holders))
        until = f"{max(holders.values()).astimezone(UTC):%H:%M:%S} UTC"
        said += f" Work is held by {names}. If it was killed, its work goes on here after {until}."
    log.warning("%s", said)


def _nothing(_run_id: str) -> None:
    pass


def _handle(parts: Parts, message: Message) -> list[Message]:
    match message:
        case RunEnded() | FollowUp():
            return []  # the workers' sweeper starts the pipelines that follow
        case AlertsKept() if parts.settings.alert_urls is None:
            return []  # the workers know the receivers: an alert must not count as sent to nobody
        case StepReady(delay=delay):
            time.sleep(delay)
    with suppress(ShardHeld):  # another worker has it, and will report its end
        return _patiently(parts, partial(dispatch, parts, message))
    return []


def _tell(state: RetryCallState) -> None:
    error = None if state.outcome is None else state.outcome.exception()
    log.warning("%s The next try is in %.1f s.", error, state.upcoming_sleep)


def _declared_wait(state: RetryCallState) -> float | None:
    """The wait of the author's Retry; None for all other errors."""
    error = None if state.outcome is None else state.outcome.exception()
    return error.wait if isinstance(error, TransientError) else None


def _is_counted(state: RetryCallState) -> bool:
    error = None if state.outcome is None else state.outcome.exception()
    return isinstance(error, TransientError) and (error.counted or error.wait is not None)


def _wait(usual: Callable[[RetryCallState], float]) -> Callable[[RetryCallState], float]:
    def wait(state: RetryCallState) -> float:
        declared = _declared_wait(state)
        return usual(state) if declared is None else declared

    return wait


def _stop(usual: Callable[[RetryCallState], bool]) -> Callable[[RetryCallState], bool]:
    return lambda state: not _is_counted(state) and usual(state)


def _patiently(parts: Parts, verb: Callable[[], list[Message]]) -> list[Message]:
    """Repeats a verb after a passing error, as Celery's retry does."""
    configured = parts.settings
    attempts = Retrying(
        retry=retry_if_exception_type(TransientError),
        wait=_wait(wait_random_exponential(configured.retry_base_seconds, configured.retry_ceiling_seconds)),
        stop=_stop(stop_after_attempt(configured.max_attempts)),
        before_sleep=_tell,
        reraise=True,
    )
    return attempts(verb)

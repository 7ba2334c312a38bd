"""Sends lost messages again. Beat starts it every few seconds; two at the same time do no harm."""

import logging

from batchord.core.run.messages import (
    AlertsKept,
    BacklogLeft,
    FollowUp,
    Message,
    RunReady,
    ShardsReady,
    StepEnded,
    step_ready,
)
from batchord.flow.begin.follow import follows
from batchord.flow.parts import Parts
from batchord.flow.upkeep.release import release_ended

log = logging.getLogger(__name__)

#: How often a sweep may tally some runs. Only the first sweeps after an upgrade do it often: no run is tallied then.
_TALLIES = 10


def sweep(parts: Parts, *, older_than_seconds: float | None = None, pipeline: str | None = None) -> list[Message]:
    """Finds open work that nobody is doing, and returns the messages that start it.

    It finds runs that could start, steps that nobody planned, shards that nobody claimed or whose worker died, steps
    whose end was lost, and backlogs without a follow-up run. A message may be on its way already. This does no harm:
    every receiver reads the ledger first. ``pipeline``: only this pipeline.
    """
    age = parts.settings.resend_after_seconds if older_than_seconds is None else older_than_seconds
    recovery = parts.ledger.recovery
    # This comes first: the statements below would wait for the locks of these transactions.
    if ended := recovery.end_stalled(lease_seconds=parts.settings.lease_seconds):
        log.warning(
            "The sweeper ended %s transactions that had stalled in a statement for longer than their lease.", ended
        )
    # After the clock stepped back, lost work would seem too new to be sent again until the clock has caught up.
    if mended := recovery.mend_times(lease_seconds=parts.settings.lease_seconds):
        log.warning(
            "The database's clock stepped back. The sweeper set the times of %s rows from the future to now.", mended
        )
    parts.ledger.tallies.tally(times=_TALLIES)
    release_ended(parts, pipeline=pipeline)
    still = recovery.stale_running_runs(older_than_seconds=age, pipeline=pipeline)
    still += recovery.stale_queued_runs(older_than_seconds=age, pipeline=pipeline)
    messages: list[Message] = [RunReady(run_id=run_id) for run_id in still]
    messages += [step_ready(step) for step in recovery.stale_steps(older_than_seconds=age, pipeline=pipeline)]
    for lost in recovery.stale_shards(older_than_seconds=age, pipeline=pipeline):
        if lost.indexes:
            messages.append(ShardsReady(run_id=lost.run_id, step=lost.step, queue=lost.queue, indexes=lost.indexes))
        else:
            messages.append(StepEnded(run_id=lost.run_id, step=lost.step))
    names = parts.catalog.names()
    messages += [
        BacklogLeft(pipeline=name, after_run=run_id)
        for name, run_id in recovery.backlogs(pipeline=pipeline)
        if name in names  # otherwise its file is gone, and no run can continue
    ]
    if pipeline is not None:
        return messages
    messages += [
        FollowUp(pipeline=name, after_run=run_id)
        for name, run_id in recovery.unfollowed(follows(parts.catalog), older_than_seconds=age)
    ]
    if parts.ledger.alerts.any_due():
        messages.append(AlertsKept())
    return messages

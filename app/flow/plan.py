"""Discovery: the records that arrived become shards.

The order of the statements is what makes it lose nothing; see :mod:`app.core.frontier`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.errors import BatchordError, TransientError
from app.core.frontier import Candidate, Frontier
from app.core.ledger import Plan
from app.core.messages import Message, ShardsReady, StepEnded
from app.core.pipelines import Predict
from app.core.ports import Source
from app.core.records import Position
from app.core.runs import StepLease
from app.core.shards import ShardCutter, ShardSize
from app.flow.finish import fail_step
from app.flow.heartbeat import Heartbeat
from app.flow.parts import Parts

#: Positions read, and looked up in the ledger, at a time.
CHUNK_ROWS = 10_000


def plan_step(parts: Parts, *, run_id: str, step: str) -> list[Message]:
    """Plans a step that is ready; does nothing when another worker does or did.

    Raises TransientError after giving the step back, for the caller to try again. Any other error of
    Batchord's ends the step as failed.
    """
    seconds = parts.settings.lease_seconds
    lease = parts.ledger.runs.claim_step(run_id, step, lease_seconds=seconds, worker=parts.worker)
    if lease is None:
        return []
    try:
        with Heartbeat(lambda: parts.ledger.runs.renew_step(lease, lease_seconds=seconds), every=seconds / 3):
            plan = discover(parts, lease)
            if not parts.ledger.planner.plan(lease, plan):
                return []
    except TransientError as error:
        if lease.attempt < parts.settings.max_attempts:
            parts.ledger.runs.release_step(lease, str(error))
            raise
        return fail_step(parts, run_id=run_id, step=step, error=str(error))
    except BatchordError as error:
        return fail_step(parts, run_id=run_id, step=step, error=str(error))
    if not plan.shards:
        return [StepEnded(run_id=run_id, step=step)]
    indexes = tuple(range(len(plan.shards)))
    return [ShardsReady(run_id=run_id, step=step, queue=plan.queue, indexes=indexes)]


def discover(parts: Parts, lease: StepLease) -> Plan:
    """Finds the records without a prediction or a rejection, and cuts them into shards.

    Raises ConfigurationError, ModelNotFound, TransientError.
    """
    run = lease.run
    declared = parts.catalog.get(run.pipeline).step(lease.step)
    model = declared.declared_model
    window = None if run.window_start is None or run.window_end is None else (run.window_start, run.window_end)
    source = parts.open_source(declared.source, window)
    version = parts.models.version(model)
    found = scan(parts, pipeline=run.pipeline, declared=declared, source=source, run_id=run.id)
    return Plan(
        shards=found.cutter.cut(),
        queue=model.queue,
        model_version=version,
        source_digest=declared.source_digest,
        frontier=found.frontier,
        backlog_left=found.backlog_left,
    )


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a scan came to."""

    cutter: ShardCutter
    frontier: Frontier
    backlog_left: bool


def scan(parts: Parts, *, pipeline: str, declared: Predict, source: Source, run_id: str) -> Found:
    """The discovery algorithm, statement by statement. Writes nothing."""
    planner = parts.ledger.planner
    frontier = planner.frontier(pipeline, declared.name, declared.source_digest)
    now = parts.ledger.runs.now()
    top = source.greatest_position()  # 1. B, a statement of its own
    running = source.running_transactions()  # 2. V, a later statement
    frontier = _settled(parts, frontier, declared, source, now)
    cutter = ShardCutter(_shard_size(parts, declared))
    after = None if declared.source.uses_window else frontier.position
    last_taken = _take(cutter, _fresh(parts, pipeline, declared.name, source, after))  # 3. the scan, later still
    # A scan that ended early knows nothing of what lies above the last record that it took.
    reached = top if last_taken is None else last_taken
    known = top is not None and (last_taken is None or source.at_or_below(last_taken, top))
    if reached is not None and known and not declared.source.uses_window:
        candidate = Candidate(position=reached, transactions=running, seen_at=now, run_id=run_id)
        frontier = frontier.propose(candidate)
    return Found(cutter=cutter, frontier=frontier, backlog_left=last_taken is not None)


def _take(cutter: ShardCutter, chunks: Iterator[Sequence[Position]]) -> Position | None:
    """Fills the cutter; returns the last position taken when more are left than one run may take."""
    last: Position | None = None
    for chunk in chunks:
        room = cutter.room
        if len(chunk) > room:
            cutter.add(chunk[:room])
            return chunk[room - 1] if room else last
        cutter.add(chunk)
        last = chunk[-1]
    return None


def _fresh(
    parts: Parts, pipeline: str, step: str, source: Source, after: Position | None
) -> Iterator[Sequence[Position]]:
    """Positions above ``after`` that are not accounted for, in chunks; empty chunks are left out."""
    for chunk in source.keys(after=after, chunk_rows=CHUNK_ROWS):
        known = parts.ledger.planner.accounted(pipeline, step, [position.key for position in chunk])
        fresh = [position for position in chunk if position.key not in known] if known else chunk
        if fresh:
            yield fresh


def _settled(parts: Parts, frontier: Frontier, declared: Predict, source: Source, now: datetime) -> Frontier:
    """The frontier moved up as far as the open transactions and the runs before allow."""
    accounted, ended = parts.ledger.planner.run_outcomes(
        declared.name, [candidate.run_id for candidate in frontier.candidates]
    )
    return frontier.settle(
        running=source.running_transactions(),
        prepared=source.prepared_transactions(),
        accounted_runs=accounted,
        ended_runs=ended,
        now=now,
        settle=None if source.settles_by_clock else declared.source.settle,
    )


def _shard_size(parts: Parts, declared: Predict) -> ShardSize:
    model = declared.declared_model
    rows = declared.shard_rows or model.shard_rows
    return ShardSize(
        rows=rows,
        min_rows=min(model.min_shard_rows, rows),
        parallelism=parts.settings.parallelism,
        max_shards=parts.settings.max_shards,
    )

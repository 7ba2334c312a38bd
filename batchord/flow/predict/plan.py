"""Discovery: finds the records that have arrived and cuts them into shards.

The order of its statements ensures that it loses no record; see :mod:`batchord.core.run.frontier`.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.steps import Predict
from batchord.core.errors import BatchordError, LeaseLost, TransientError
from batchord.core.process.fault_points import fault
from batchord.core.run.after_losses import LOST_PLANNERS
from batchord.core.run.frontier import Frontier
from batchord.core.run.horizon import Stray
from batchord.core.run.leases import StepLease
from batchord.core.run.messages import Message, ShardsReady, StepEnded, step_ready
from batchord.core.run.plans import Past, Plan
from batchord.core.run.records import Position
from batchord.core.run.runs import StepState
from batchord.core.run.shards import ShardCutter, ShardRange, ShardSize
from batchord.core.run.sizing import Estimate, estimate
from batchord.core.text.counts import counted
from batchord.core.text.error_text import message_of
from batchord.flow.attempt.attempt import Attempt, Line
from batchord.flow.attempt.heartbeat import Heartbeat
from batchord.flow.attempt.log import AttemptLog
from batchord.flow.attempt.policy import Fault, Policy, Verdict, is_passing
from batchord.flow.drive.finish import CODE_CHANGED, fail_step
from batchord.flow.parts import Parts
from batchord.flow.predict.key import key_column
from batchord.flow.predict.look import look

log = logging.getLogger(__name__)

#: The most seconds between two checks whether the lease is lost or the run was cancelled.
_LOOK_SECONDS = 5.0
#: How many positions are read, and looked up in the ledger, at a time.
CHUNK_ROWS = 10_000


def plan_step(parts: Parts, *, run_id: str, step: str) -> list[Message]:
    """Plans a step that is ready. Does nothing if another worker is planning it or has planned it.

    Raises TransientError after giving the step back; then the caller tries again. Any other error ends the step as
    failed.
    """
    seconds = parts.settings.lease_seconds
    lease = parts.ledger.runs.claim_step(
        run_id, step, lease_seconds=seconds, worker=parts.worker, task=parts.task, sharded=True
    )
    if lease is None:
        return _misrouted(parts, run_id, step)
    if lease.attempt > parts.settings.max_attempts:
        return fail_step(parts, lease, f"{counted(lease.attempt - 1, 'attempt')} {LOST_PLANNERS}")
    return _Planning(parts, lease).make()


def _misrouted(parts: Parts, run_id: str, step: str) -> list[Message]:
    """The message for a step that must be executed, not planned: in a deploy, an older worker sends all steps here."""
    steps = [other for other in parts.ledger.runs.steps(run_id) if other.name == step]
    return [step_ready(other) for other in steps if not other.sharded and other.state is StepState.READY]


class _Planning(Attempt[Plan | None]):
    """An attempt at a plan. Its work returns the written plan, or None if the lease was lost before."""

    def __init__(self, parts: Parts, lease: StepLease) -> None:
        self._parts = parts
        self._lease = lease
        self._seconds = parts.settings.lease_seconds
        self.every = min(self._seconds / 3, _LOOK_SECONDS)
        self.limit = parts.settings.plan_time_limit_seconds

    def renew(self) -> bool:
        return self._parts.ledger.runs.renew_step(self._lease, lease_seconds=self._seconds)

    def log(self) -> AbstractContextManager[AttemptLog]:
        return self._parts.log_of(self._lease.attempt_name)

    def work(self, beat: Heartbeat, line: Line) -> Plan | None:  # noqa: ARG002 -- its output is logged anyway
        plan = discover(self._parts.interrupted_with(beat), self._lease)
        fault("before-plan-commit")
        return plan if self._parts.ledger.planner.plan(self._lease, plan) else None

    def policy(self) -> Policy:
        return Policy(
            own_attempts=self._lease.attempt,
            attempts=self._lease.attempt,
            most_attempts=self._parts.settings.max_attempts,
            edited=self._parts.took_up_code_after(self._lease.work.run.created_at),
            # A bug in Batchord or in a library must not leave the step open.
            unforeseen=Fault.FINAL,
        )

    def tell(self, error: BaseException, verdict: Verdict) -> None:
        if verdict.fault is Fault.FINAL and not isinstance(error, BatchordError):
            log.error("%s cannot be planned", self._lease, exc_info=error)

    def done(self, result: Plan | None, beat: Heartbeat) -> list[Message]:  # noqa: ARG002 -- the base class's
        return [] if result is None else _planned(self._lease, result)

    def failed(self, error: BaseException, verdict: Verdict, beat: Heartbeat) -> list[Message]:
        parts, lease = self._parts, self._lease
        if verdict.fault is Fault.EDITED:
            return fail_step(parts, lease, f"{CODE_CHANGED}: {error}", state=StepState.CODE_CHANGED)
        if beat.overdue.is_set() and is_passing(error):
            return fail_step(parts, lease, self._overdue)
        reason = message_of(error)
        if not verdict.again:
            return fail_step(parts, lease, reason)
        parts.ledger.runs.release_step(lease, parts.mask(reason))
        raise TransientError(f"{lease} is handed back: {reason}") from error

    def lease_lost(self, error: LeaseLost) -> list[Message]:  # noqa: ARG002 -- the base class's
        return []

    @property
    def _overdue(self) -> str:
        return (
            f"planning took longer than {self.limit:g} s (BATCHORD_PLAN_TIME_LIMIT_SECONDS). An index on the arrival "
            "and the key may help, see docs/how-to/write-a-source.md"
        )


def _planned(lease: StepLease, plan: Plan) -> list[Message]:
    if not plan.shards:
        return [StepEnded(run_id=lease.run_id, step=lease.step)]
    return [ShardsReady(run_id=lease.run_id, step=lease.step, queue=plan.queue, indexes=(*range(len(plan.shards)),))]


def discover(parts: Parts, lease: StepLease) -> Plan:
    """Finds the records without a prediction or a rejection, and cuts them into shards.

    Raises ConfigurationError, ModelNotFound, TransientError.
    """
    run = lease.work.run
    declared = parts.catalog.get(run.pipeline).predict_step(lease.step)
    window = None if run.window_start is None or run.window_end is None else (run.window_start, run.window_end)
    source = parts.open_source(declared.source, window)
    version = parts.models.version(declared.declared_model)
    scanned = scan(
        parts,
        pipeline=run.pipeline,
        declared=declared,
        source=source,
        version=version,
        run_id=run.id,
        full=run.full_scan,
    )
    if scanned.stray is not None:
        log.warning("%s", scanned.stray)
    shards = scanned.cutter.cut()
    return Plan(
        shards=shards,
        queue=declared.declared_model.queue,
        key=key_column(declared.source, source, shards),
        into=declared.into_table,
        outputs=declared.output_columns,
        model_version=version,
        source_digest=declared.source_digest,
        code=declared.code,
        frontier=scanned.frontier,
        backlog_left=scanned.backlog_left,
    )


@dataclass(frozen=True, kw_only=True)
class Found:
    """The result of a scan."""

    cutter: ShardCutter
    #: The size of the shards, and the reason for it.
    sizing: Estimate
    frontier: Frontier
    backlog_left: bool
    #: The greatest record beyond the present, below which the frontier stays; None if there is none.
    stray: Stray | None


def scan(
    parts: Parts,
    *,
    pipeline: str,
    declared: Predict,
    source: SourceReader,
    version: str,
    run_id: str,
    full: bool = False,
) -> Found:
    """The discovery algorithm, statement by statement. It writes nothing.

    ``version`` is the model's. ``full`` scans the whole source instead of the positions above the frontier.
    """
    top, sighting, past = look(  # 1. and 2.
        parts, pipeline=pipeline, declared=declared, source=source, version=version, run_id=run_id
    )
    stray = source.stray
    # Moved up as far as open transactions and earlier runs allow. If a stray has moved it before that was recognised,
    # it moves back.
    frontier = past.frontier.without(source.lies_beyond).settle(
        sighting, accounted_runs=past.accounted_runs, ended_runs=past.ended_runs
    )
    sizing = _estimate(parts, declared, past)
    cutter = ShardCutter(_shard_size(parts, sizing))
    if declared.source.uses_window:  # nobody reads what lies outside the window, so there can be no frontier
        last_taken = _scan(parts, pipeline, declared.name, source, after=None, cutter=cutter)
        return Found(cutter=cutter, sizing=sizing, frontier=frontier, backlog_left=last_taken is not None, stray=stray)
    after = None if full else frontier.position
    last_taken = _scan(parts, pipeline, declared.name, source, after=after, cutter=cutter)  # 3.
    if last_taken is not None:
        # The scan ended early: it has not seen what lies above the last position that it took.
        frontier = frontier.unscanned(run_id)
        top = last_taken if top is not None and source.at_or_below(last_taken, top) else None
    if top is not None:
        frontier = frontier.propose(top, sighting)
    return Found(cutter=cutter, sizing=sizing, frontier=frontier, backlog_left=last_taken is not None, stray=stray)


def _scan(
    parts: Parts, pipeline: str, step: str, source: SourceReader, *, after: Position | None, cutter: ShardCutter
) -> Position | None:
    """Fills the cutter. Returns the last position taken if one run may not take all; otherwise None."""
    if source.counter is not None:
        pieces = source.counter.pieces(after=after, pipeline=pipeline, step=step, rows=cutter.piece_rows)
        if pieces is not None:
            return _take_pieces(cutter, pieces)
    return _take(cutter, _fresh(parts, pipeline, step, source, after))


def _take_pieces(cutter: ShardCutter, pieces: Iterator[ShardRange]) -> Position | None:
    last: Position | None = None
    for piece in pieces:
        if piece.planned > cutter.room:
            return last
        if piece.planned:
            cutter.add_piece(piece)
        last = piece.last
    return None


def _take(cutter: ShardCutter, chunks: Iterator[tuple[Sequence[Position], Sequence[int]]]) -> Position | None:
    last: Position | None = None
    for chunk, places in chunks:
        room = cutter.room
        if len(chunk) > room:
            if room:
                cutter.add(chunk[:room], places[:room])
                last = chunk[room - 1]
            return last
        cutter.add(chunk, places)
        last = chunk[-1]
    return None


def _fresh(
    parts: Parts, pipeline: str, step: str, source: SourceReader, after: Position | None
) -> Iterator[tuple[Sequence[Position], Sequence[int]]]:
    """Chunks of the unaccounted positions above ``after``, with their places among all positions; none is empty."""
    met = 0
    for chunk in source.keys(after=after, chunk_rows=CHUNK_ROWS):
        accounted = parts.ledger.planner.accounted(pipeline, step, [position.key for position in chunk])
        fresh: Sequence[Position] = chunk
        places: Sequence[int] = range(met, met + len(chunk))
        if accounted:
            left = [place for place, position in enumerate(chunk) if position.key not in accounted]
            fresh, places = [chunk[place] for place in left], [met + place for place in left]
        met += len(chunk)
        if fresh:
            yield fresh, places


def _estimate(parts: Parts, declared: Predict, past: Past) -> Estimate:
    model = declared.declared_model
    return estimate(
        past.rates,
        declared=declared.shard_rows,
        usual=model.shard_rows,
        least=model.min_shard_rows,
        seconds=parts.settings.aimed_shard_seconds,
    )


def _shard_size(parts: Parts, sizing: Estimate) -> ShardSize:
    return ShardSize(
        rows=sizing.rows,
        min_rows=sizing.least_rows,
        parallelism=parts.settings.parallelism,
        max_shards=parts.settings.max_shards,
        grows=sizing.grows,
        tapers=sizing.tapers,
    )

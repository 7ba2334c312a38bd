"""Faults that are put in on purpose. A simulation that does not find them would not find others like them."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any
from unittest import mock

import batchord.flow.begin.start
import batchord.flow.predict.plan
import batchord.flow.step.execute
import batchord.ledger.alerts
import batchord.ledger.leases
import batchord.ledger.locked_run
import batchord.ledger.planner
import batchord.ledger.recovery
import batchord.ledger.runs
import batchord.ledger.shard_statements
from batchord.core.run.frontier import Frontier
from batchord.core.run.leases import StepLease
from batchord.core.run.messages import ShardsReady
from batchord.core.run.totals import StepTotals
from batchord.ledger.locked_run import LockedRun
from batchord.ledger.planner import PlannerTables
from batchord.ledger.shards import ShardsTable
from tests.simulation.world import World


@dataclass(frozen=True)
class Mutation:
    """A fault: a context in which it is there, and a seed that finds it."""

    apply: Callable[[], Any]
    _: KW_ONLY
    found_by: int


def _text(module: Any, name: str, old: str, new: str) -> Callable[[], Any]:
    """A statement in which a piece of text is replaced."""
    before = getattr(module, name)

    def patch() -> Any:
        assert old in before, f"{name} has no {old!r} any more: adapt the mutation"
        return mock.patch.object(module, name, before.replace(old, new))

    return patch


@contextmanager
def _progress_without_token() -> Iterator[None]:
    statements = batchord.ledger.shard_statements
    progress = statements.PROGRESS.replace(" AND lease_token = %(token)s AND state = 'running'", "")
    assert progress != statements.PROGRESS
    with mock.patch.object(statements, "PROGRESS", progress):
        yield


@contextmanager
def _same_token() -> Iterator[None]:
    claim = ShardsTable.claim

    def claim_again(self: ShardsTable, *args: Any, **options: Any) -> Any:
        with mock.patch("batchord.ledger.shards.uuid4", return_value=uuid.UUID(int=7)):
            return claim(self, *args, **options)

    with mock.patch.object(ShardsTable, "claim", claim_again):
        yield


@contextmanager
def _published_before_its_commit() -> Iterator[None]:
    """The planner sends the chord, and then commits the plan."""
    plan, created = PlannerTables.plan, World.__post_init__
    worlds: list[World] = []

    def remember(self: World) -> None:
        created(self)
        worlds[:] = [self]

    def publish_and_plan(self: PlannerTables, lease: StepLease, planned: Any) -> bool:
        (world,) = worlds
        if planned.shards:
            indexes = tuple(range(len(planned.shards)))
            message = ShardsReady(run_id=lease.run_id, step=lease.step, queue=planned.queue, indexes=indexes)
            world.workers.publish(world.parts, [message])
        return plan(self, lease, planned)

    with (
        mock.patch.object(World, "__post_init__", remember),
        mock.patch.object(PlannerTables, "plan", publish_and_plan),
    ):
        yield


@contextmanager
def _frontier_one_scan_early() -> Iterator[None]:
    settle = Frontier.settle

    def early(self: Frontier, sighting: Any, *, accounted_runs: Any, ended_runs: Any) -> Frontier:
        covered = {candidate.scanned_by for candidate in self.candidates if candidate.scanned_by is not None}
        del accounted_runs, ended_runs
        return settle(self, sighting, accounted_runs=covered, ended_runs=covered)

    with mock.patch.object(Frontier, "settle", early):
        yield


@contextmanager
def _candidates_settle_at_once() -> Iterator[None]:
    """A candidate does not wait for the transactions that were open when it was seen."""
    propose = Frontier.propose

    def blind(self: Frontier, top: Any, sighting: Any) -> Frontier:
        return propose(self, top, replace(sighting, running=frozenset(), prepared=frozenset()))

    with mock.patch.object(Frontier, "propose", blind):
        yield


@contextmanager
def _attempts_counted_after_the_work() -> Iterator[None]:
    statements = batchord.ledger.shard_statements
    claim = statements.CLAIM.replace("attempt = shard.attempt + 1, ", "").replace(
        "SELECT run_id, step, index, attempt, %(worker)s, %(task)s FROM claimed",
        "SELECT run_id, step, index, attempt + 1, %(worker)s, %(task)s FROM claimed ON CONFLICT DO NOTHING",
    )
    finish = statements.FINISH.replace("SET state = 'done', ", "SET state = 'done', attempt = attempt + 1, ")
    assert claim != statements.CLAIM
    assert finish != statements.FINISH
    with mock.patch.object(statements, "CLAIM", claim), mock.patch.object(statements, "FINISH", finish):
        yield


@contextmanager
def _body_trusts_the_chord() -> Iterator[None]:
    totals = LockedRun.totals

    def trusting(self: LockedRun, step: str) -> StepTotals:
        return totals(self, step)._replace(open_shards=0)

    with mock.patch.object(LockedRun, "totals", trusting):
        yield


@contextmanager
def _version_not_pinned() -> Iterator[None]:
    """A shard is predicted with the model's version of the moment, not with that of its plan."""
    predict = batchord.flow.predict.shard.predict_records

    def unpinned(parts: Any, lease: Any, beat: Any, progress: Any) -> None:
        declared = parts.catalog.get(lease.pipeline).predict_step(lease.step).declared_model
        work = replace(lease.work, model_version=parts.models.version(declared))
        predict(parts, replace(lease, work=work), beat, progress)

    with mock.patch("batchord.flow.predict.shard.predict_records", unpinned):
        yield


@contextmanager
def _end_without_its_lease() -> Iterator[None]:
    with mock.patch.object(LockedRun, "holds", return_value=True):
        yield


#: Each by what is wrong with the code. The number is a seed that finds it.
MUTATIONS: dict[str, Mutation] = {
    "a batch is committed without a look at the token": Mutation(_progress_without_token, found_by=113),
    "a claim gives the same token as before": Mutation(_same_token, found_by=177),
    "another attempt keeps the lease of the one before": Mutation(
        _text(
            batchord.ledger.shard_statements,
            "CLAIM",
            "lease_token = %(token)s",
            "lease_token = coalesce(shard.lease_token, %(token)s)",
        ),
        found_by=5,
    ),
    "a message is published before its commit": Mutation(_published_before_its_commit, found_by=0),
    "the frontier moves one scan early": Mutation(_frontier_one_scan_early, found_by=6),
    "a candidate of the frontier waits for no transaction": Mutation(_candidates_settle_at_once, found_by=16),
    "attempts are counted after the work": Mutation(_attempts_counted_after_the_work, found_by=0),
    "the body trusts the chord": Mutation(_body_trusts_the_chord, found_by=11),
    "the sweeper does not see running shards": Mutation(
        _text(batchord.ledger.recovery, "_SHARDS", "shard.state IN ('pending', 'running')", "shard.state = 'pending'"),
        found_by=58,
    ),
    "the sweeper does not see steps that are being planned": Mutation(
        _text(batchord.ledger.recovery, "_STEPS", "step.state = 'planning' OR ", ""), found_by=3
    ),
    "the sweeper does not see lost ends": Mutation(
        _text(batchord.ledger.recovery, "_ENDS", "AND step.sharded", "AND false"), found_by=1
    ),
    "a run is opened without ON CONFLICT": Mutation(
        _text(batchord.ledger.runs, "_INSERT_RUN", "ON CONFLICT DO NOTHING", ""), found_by=0
    ),
    "a cancelled run keeps its shards' leases": Mutation(
        lambda: mock.patch(
            "batchord.ledger.locked_run._OPEN_STATES", (("steps", ["pending", "ready", "planning", "running"]),)
        ),
        found_by=59,
    ),
    "the version of the model is not pinned": Mutation(_version_not_pinned, found_by=55),
    "shards are predicted with any code": Mutation(
        lambda: mock.patch("batchord.flow.predict.shard.check_code"), found_by=96
    ),
    "a step ends without a look at its lease": Mutation(_end_without_its_lease, found_by=555),
    "a function that may run once is not asked for": Mutation(
        lambda: mock.patch("batchord.flow.step.execute._look_back"), found_by=89
    ),
    "the beginning of a step's work is not noted": Mutation(
        _text(batchord.ledger.leases, "_BEGIN", "begun_at = batchord.now()", "begun_at = NULL"), found_by=89
    ),
}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """The code under test with a fault in it."""
    with MUTATIONS[name].apply():
        yield

"""The ledger for discovery: it reads frontiers, and writes a step's frontier and shards in one transaction."""

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from batchord.core.run.frontier import Candidate, Frontier
from batchord.core.run.leases import StepLease
from batchord.core.run.plans import Plan
from batchord.core.run.records import Position, Scalar
from batchord.core.run.sizing import Rate
from batchord.ledger.accounted import accounted
from batchord.ledger.attempts import end_attempts
from batchord.ledger.connection import Connection, Connections
from batchord.ledger.places import have_table
from batchord.ledger.rates import read_rates

_FRONTIER = """
    SELECT position, candidates FROM batchord.frontiers
    WHERE pipeline = %s AND step = %s AND source_digest = %s
"""
_SAVE_FRONTIER = """
    INSERT INTO batchord.frontiers AS old (pipeline, step, source_digest, position, candidates, versions, moved_at)
    VALUES (%(pipeline)s, %(step)s, %(digest)s, %(position)s, %(candidates)s, ARRAY[%(version)s], batchord.now())
    ON CONFLICT (pipeline, step) DO UPDATE SET
        versions = ARRAY(SELECT DISTINCT unnest(old.versions || excluded.versions)),
        source_digest = excluded.source_digest, position = excluded.position, candidates = excluded.candidates,
        moved_at = CASE WHEN old.position IS DISTINCT FROM excluded.position THEN batchord.now()
                        ELSE old.moved_at END,
        updated_at = batchord.now()
    RETURNING cardinality(versions) AS versions
"""
_OUTCOMES = """
    SELECT run_id, state = 'done' AS done, state NOT IN ('pending', 'ready', 'planning', 'running') AS ended
    FROM batchord.steps WHERE name = %s AND run_id = ANY(%s::uuid[])
"""
_PLANNED = """
    UPDATE batchord.steps SET state = 'running', planned_at = batchord.now(), queue = %(queue)s,
        backlog_left = %(backlog)s, code = %(code)s, lease_token = NULL, lease_until = NULL, error = NULL
    WHERE run_id = %(run)s AND name = %(step)s AND lease_token = %(token)s AND state = 'planning'
"""
_PIN = """
    UPDATE batchord.runs SET models = models || %(version)s, discovered = discovered + %(records)s
    WHERE id = %(run)s AND state = 'running'
"""
#: One statement for all shards. psycopg's executemany() sends many statements without waiting for an answer in between.
#: PostgreSQL's limit on an idle session begins only after an answer, so a process that was stopped there kept its locks
#: for ever.
_SHARDS = """
    INSERT INTO batchord.shards (run_id, step, index, first_position, last_position, planned, discovered, dense)
    SELECT CAST(%(run)s AS uuid), %(step)s, index, first, last, planned, planned, dense
    FROM jsonb_to_recordset(%(shards)s) AS shard (index int, first jsonb, last jsonb, planned bigint, dense boolean)
"""


class PlannerTables:
    """The ledger for discovery."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def accounted(self, pipeline: str, step: str, keys: Sequence[Scalar]) -> set[Scalar]:
        """The ``keys`` that have a prediction or a rejection from any version of the model."""
        with self._connections.transaction() as connection:
            return accounted(connection, pipeline, step, keys)

    def frontier(self, pipeline: str, step: str, source_digest: str) -> Frontier:
        """The step's frontier; a new one if the ledger has none for this digest of the source."""
        with self._connections.transaction() as connection:
            row = connection.execute(_FRONTIER, [pipeline, step, source_digest]).fetchone()
        if row is None:
            return Frontier()
        return Frontier(
            position=None if row["position"] is None else Position.from_json(row["position"]),
            candidates=tuple(Candidate.from_json(value) for value in row["candidates"]),
        )

    def rates(self, pipeline: str, step: str, model_version: str) -> list[Rate]:
        """The speeds of workers with this model version; empty if it has predicted nothing yet."""
        with self._connections.transaction() as connection:
            return read_rates(connection, pipeline=pipeline, step=step, version=model_version)

    def run_outcomes(self, step: str, run_ids: Sequence[str]) -> tuple[frozenset[str], frozenset[str]]:
        """Two sets of ``run_ids``: the runs whose step accounted for every record, and the runs whose step ended."""
        with self._connections.transaction() as connection:
            rows = connection.execute(_OUTCOMES, [step, list(run_ids)]).fetchall()
        in_ledger = {str(row["run_id"]) for row in rows}
        done = frozenset(str(row["run_id"]) for row in rows if row["done"])
        # A run that was deleted from the ledger will never account for its records, so it counts as ended.
        ended = frozenset(str(row["run_id"]) for row in rows if row["ended"]) | (frozenset(run_ids) - in_ledger)
        return done, ended

    def plan(self, lease: StepLease, plan: Plan) -> bool:
        """Writes the shards and the frontier. If the lease is lost, it writes nothing and returns False.

        Before, it makes the table of the step's predictions if that is missing, and raises as
        :func:`.places.have_table` does.
        """
        if plan.shards:
            have_table(self._connections, lease.pipeline, lease.step, plan.key, plan.into, outputs=plan.outputs)
        values = {"run": lease.run_id, "step": lease.step, "token": lease.token}
        with self._connections.transaction() as connection:
            pinned = {"queue": plan.queue, "backlog": plan.backlog_left, "code": plan.code}
            planned = connection.execute(_PLANNED, {**values, **pinned})
            if planned.rowcount != 1:
                return False
            end_attempts(connection, lease.run_id, step=lease.step, state="done", error=None)
            version = Jsonb({lease.step: plan.model_version})
            connection.execute(_PIN, {**values, "version": version, "records": plan.records})
            frontier = connection.execute(
                _SAVE_FRONTIER,
                {
                    "pipeline": lease.pipeline,
                    "step": lease.step,
                    "digest": plan.source_digest,
                    "version": plan.model_version,
                    "position": None if plan.frontier.position is None else Jsonb(plan.frontier.position.to_json()),
                    "candidates": Jsonb([candidate.to_json() for candidate in plan.frontier.candidates]),
                },
            ).fetchone()
            assert frontier is not None  # noqa: S101 -- it was just written
            # A record that an earlier version predicted may move into a shard. Writing this version's prediction of it
            # would raise no conflict. So shards are dense only as long as the step has had a single version.
            _write_shards(connection, lease, plan, dense=frontier["versions"] == 1)
            return True


def _write_shards(connection: Connection, lease: StepLease, plan: Plan, *, dense: bool) -> None:
    shards = [
        {
            "index": index,
            "first": shard.first.to_json(),
            "last": shard.last.to_json(),
            "planned": shard.planned,
            "dense": dense and shard.dense,
        }
        for index, shard in enumerate(plan.shards)
    ]
    connection.execute(_SHARDS, {"run": lease.run_id, "step": lease.step, "shards": Jsonb(shards)})

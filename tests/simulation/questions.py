"""What must be so at the end of each schedule, in plain SQL that shares no code with the code under test."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from batchord.core.run.messages import Message, RunEnded, ShardsReady, StepReady

if TYPE_CHECKING:
    from tests.simulation.world import World

_OUTCOMES = """
    SELECT pipeline, step, record_key, label, model_version, run_id FROM batchord.predictions
    UNION ALL SELECT pipeline, step, record_key, NULL, NULL, run_id FROM batchord.rejections
"""
#: By what is wrong: a query that finds it. Each row is one finding.
QUERIES: dict[str, str] = {
    "a record was lost": """
        SELECT 'records' AS place, id FROM public.records
        WHERE NOT EXISTS (SELECT FROM outcomes WHERE pipeline = 'flow' AND record_key = id::text)
        UNION ALL SELECT 'events', id FROM public.events
        WHERE NOT EXISTS (SELECT FROM outcomes WHERE pipeline = 'windows' AND record_key = id::text)
    """,
    "a record has two outcomes": """
        SELECT pipeline, record_key FROM outcomes GROUP BY pipeline, step, record_key HAVING count(*) > 1
    """,
    "a prediction mixes versions": """
        SELECT record_key, label, model_version FROM outcomes
        WHERE label IS NOT NULL AND split_part(label, '/', 1) <> model_version
    """,
    "a prediction is that of another text": """
        SELECT record_key, label, body FROM outcomes JOIN (
            SELECT 'flow' AS pipeline, id, body FROM public.records
            UNION ALL SELECT 'windows', id, body FROM public.events
        ) AS record ON record.pipeline = outcomes.pipeline AND record.id::text = record_key
        WHERE label IS NOT NULL AND split_part(label, '/', 3) IS DISTINCT FROM body
    """,
    "a step predicted with two editions": """
        SELECT run_id, step FROM batchord.predictions GROUP BY run_id, step
        HAVING count(DISTINCT split_part(label, '/', 2)) > 1 OR count(DISTINCT model_version) > 1
    """,
    "a run did not end": "SELECT id, state FROM batchord.runs WHERE finished_at IS NULL",
    "a step did not end": """
        SELECT run_id, name, state FROM batchord.steps AS step
        WHERE state IN ('pending', 'ready', 'planning', 'running')
    """,
    "a shard did not end": """
        SELECT run_id, step, index, state FROM batchord.shards WHERE state IN ('pending', 'running')
    """,
    "an attempt did not end": "SELECT run_id, step, shard, attempt FROM batchord.attempts WHERE state = 'running'",
    "an attempt was not counted": """
        SELECT shard.run_id, shard.step, shard.index FROM batchord.shards AS shard
        WHERE attempt <> (SELECT count(*) FROM batchord.attempts AS made WHERE made.run_id = shard.run_id
                          AND made.step = shard.step AND made.shard = shard.index)
    """,
    "a run's counts do not match its rows": """
        SELECT id FROM batchord.runs AS run
        WHERE state IN ('succeeded', 'partial', 'failed', 'cancelled')
          AND predicted <> (SELECT count(*) FROM batchord.predictions AS p WHERE p.run_id = run.id)
    """,
    "discovered is not predicted + rejected": """
        SELECT id, discovered, predicted, rejected FROM batchord.runs
        WHERE state = 'succeeded' AND discovered <> predicted + rejected
    """,
    "counts did not add up": """
        SELECT run_id, error FROM batchord.attempts WHERE error LIKE '%Please report%'
        UNION ALL SELECT run_id, error FROM batchord.steps WHERE error LIKE '%Please report%'
    """,
    "a run's state does not match its steps'": """
        SELECT id, run.state FROM batchord.runs AS run JOIN batchord.steps AS step ON step.run_id = run.id
        WHERE run.state IN ('succeeded', 'partial', 'failed')
        GROUP BY id HAVING (run.state = 'succeeded') <> bool_and(step.state IN ('done', 'skipped'))
    """,
    "a slot has two runs": """
        SELECT pipeline, slot FROM batchord.runs WHERE slot IS NOT NULL
        GROUP BY pipeline, kind, slot HAVING count(*) > 1
    """,
    "a run was continued twice": """
        SELECT request FROM batchord.runs WHERE request IS NOT NULL GROUP BY request HAVING count(*) > 1
    """,
    "a Sql step was done twice, or not at all": """
        SELECT step.run_id, count(effect.run_id) FROM batchord.steps AS step
        LEFT JOIN public.effects AS effect ON effect.run_id = step.run_id
        WHERE step.name = 'count' AND NOT step.reused
        GROUP BY step.run_id, step.state
        HAVING count(effect.run_id) > 1 OR (step.state = 'done') <> (count(effect.run_id) = 1)
    """,
    "a failed run has no alert": """
        SELECT id, state FROM batchord.runs AS run
        WHERE state IN ('failed', 'partial') AND EXISTS (
            SELECT FROM batchord.steps AS step WHERE step.run_id = run.id AND step.state = 'failed')
          AND NOT EXISTS (SELECT FROM batchord.alerts AS alert WHERE alert.run_id = run.id)
    """,
    "an alert did not go out": "SELECT event FROM batchord.alerts WHERE closed_at IS NULL OR error IS NOT NULL",
    "the audit found a missing record": """
        SELECT event, message FROM batchord.alerts
        WHERE kind = 'audit' AND pipeline = 'flow' AND event NOT LIKE '%not-audited%'
    """,
    "a frontier lies above a lost record": """
        SELECT record.id FROM public.records AS record JOIN batchord.frontiers AS frontier
          ON frontier.pipeline = 'flow' AND (frontier.position ->> 0)::bigint >= record.seq
        WHERE NOT EXISTS (SELECT FROM outcomes WHERE pipeline = 'flow' AND record_key = record.id::text)
    """,
}


def findings(world: "World") -> Iterator[str]:
    """What is wrong at the end of a schedule, a line each; none if all is as it must be."""
    yield from world.workers.bugs
    for what, query in QUERIES.items():
        rows = world.sessions.outside.execute(f"WITH outcomes AS ({_OUTCOMES}) {query}".encode()).fetchall()
        if rows:
            yield f"{what}: {_told(rows)}"
    if not world.faults:
        yield from _sent_again(world)
    yield from _ghosts(world)
    yield from _functions(world)
    yield from _receipts(world)


def uncommitted(world: "World", message: Message) -> bool:
    """Whether a message is about something that is not in the ledger yet: commit, then publish."""
    match message:
        case ShardsReady(run_id=run_id, step=step, indexes=indexes):
            query = "SELECT FROM batchord.shards WHERE run_id = %s AND step = %s AND index = ANY(%s)"
            return world.sessions.outside.execute(query, [run_id, step, list(indexes)]).rowcount != len(indexes)
        case StepReady(run_id=run_id, step=step):
            query = "SELECT FROM batchord.steps WHERE run_id = %s AND name = %s AND state <> 'pending'"
            return world.sessions.outside.execute(query, [run_id, step]).rowcount != 1
        case RunEnded(run_id=run_id):
            query = "SELECT FROM batchord.runs WHERE id = %s AND finished_at IS NOT NULL"
            return world.sessions.outside.execute(query, [run_id]).rowcount != 1
        case _:
            return False


def _sent_again(world: "World") -> Iterator[str]:
    """Without faults, the sweeper has nothing to do."""
    query = """
        SELECT run_id FROM batchord.steps WHERE resent > 0 UNION SELECT run_id FROM batchord.shards WHERE resent > 0
    """
    for row in world.sessions.outside.execute(query):
        yield f"work was sent again without a fault: run {row['run_id']}"


def _ghosts(world: "World") -> Iterator[str]:
    for pipeline, table in (("flow", "records"), ("windows", "events")):
        query = f"SELECT DISTINCT record_key FROM ({_OUTCOMES}) AS outcomes WHERE pipeline = %s"  # noqa: S608 -- a constant
        keys = {int(row["record_key"]) for row in world.sessions.outside.execute(query.encode(), [pipeline])}
        if ghosts := keys - world.programs[table].committed:
            yield f"a record that never was has an outcome: {sorted(ghosts)} of {table}"


def _functions(world: "World") -> Iterator[str]:
    """A function that may run only once ran at most once; one that is done ran."""
    done = "SELECT run_id, name, state, reused FROM batchord.steps WHERE kind = 'python'"
    for row in world.sessions.outside.execute(done):
        times = world.effects[str(row["run_id"]), row["name"]]
        if row["name"] == "once" and times > 1:
            yield f"a function that may run once ran {times} times: {row['run_id']}"
        if row["state"] == "done" and not row["reused"] and times == 0:
            yield f"a function is done that never ran: {row['run_id']} {row['name']}"


def _receipts(world: "World") -> Iterator[str]:
    query = "SELECT title, message, error, attempts FROM batchord.alerts"
    for row in world.sessions.outside.execute(query):
        times = world.receivers.got[f"[batchord] {row['title']}: {row['message']}"]
        if row["error"] is None and not times:
            yield f"an alert is closed that nobody got: {row['title']}"
        if times > row["attempts"]:
            yield f"an alert was sent {times} times in {row['attempts']} attempts: {row['title']}"


def _told(rows: "list[dict[str, Any]]") -> str:
    shown = "; ".join(", ".join(f"{name} {value}" for name, value in row.items()) for row in rows[:3])
    return f"{shown} … ({len(rows)})" if len(rows) > 3 else shown

"""Drills of graphs: a crash at any point loses no step, and runs no finished one again."""

import signal
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from app.localstack import Server, start_servers
from tests.drills.drill import Drill
from tests.drills.graph import ONCE, GraphDrill
from tests.drills.own_servers import process_of
from tests.waiting import wait_until

#: What a step says that may have run, and must not run twice.
_MAY_HAVE_RUN = "Nobody knows how much of its work was done"
_TASKS = tuple(ONCE)
#: Long enough for a busy machine: a second attempt then means that a step was interrupted.
_LONG_LEASE = {"BATCHORD_LEASE_SECONDS": "20"}

_CUT_WHO_WAITS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
def graph(drill: Drill) -> GraphDrill:
    """The pipeline with a step of every kind."""
    return GraphDrill(drill)


def _everywhere(point: str, *, action: str = "kill") -> dict[str, str]:
    return {"worker": ";".join(f"{point}:{step}={action}" for step in _TASKS)}


def test_steps_whose_children_die_before_they_begin_are_executed_once(graph: GraphDrill) -> None:
    """Each step's first attempt ends so; nothing of it was done, so that each may be executed again."""
    graph.cluster.start("control", "worker", "beat", faults=_everywhere("before-step-begin"))
    graph.drill.run()
    graph.drill.settle(timeout=60)
    graph.check()
    assert [graph.attempts(step) for step in _TASKS] == [2] * len(_TASKS)


@pytest.mark.parametrize(
    ("point", "again", "told"),
    [("before-step-work", 1, 0), ("after-step-work", 2, 1), ("before-step-end", 2, 1)],
)
def test_steps_whose_children_die_over_them_are_repeated_where_they_may_be(
    graph: GraphDrill, point: str, again: int, told: int
) -> None:
    """Sql happens once all the same; a command that is not idempotent has failed, and says why."""
    graph.cluster.start("control", "worker", "beat", faults=_everywhere(point))
    graph.drill.run()
    graph.drill.settle(timeout=60)
    repeated = dict.fromkeys(("prepare", "choose", "again", "close"), again)
    graph.check(run="failed", states={"tell": "failed"}, traces={**repeated, "tell": told})
    assert _MAY_HAVE_RUN in graph.error("tell")
    assert [graph.attempts(step) for step in _TASKS] == [2] * len(_TASKS)


def test_sql_is_committed_once_whenever_its_child_dies(graph: GraphDrill) -> None:
    """Killed before its commit, nothing of it is there; killed after it, the third attempt finds that it is done."""
    points = "before-sql-commit=kill@1;after-sql-commit=kill@1"
    graph.cluster.start("control", "worker", "beat", faults={"worker": points})
    graph.drill.run()
    graph.drill.settle(timeout=60)
    graph.check()
    assert graph.attempts("keep") == 3
    assert (graph.drill.passes("before-sql-commit"), graph.drill.passes("after-sql-commit")) == (2, 1)


def test_whole_workers_die_over_steps(graph: GraphDrill) -> None:
    """Nobody is left to tell of it: the steps' leases run out."""
    points = "after-step-work:prepare=kill-parent;before-step-end:close=kill-parent"
    graph.cluster.start("control", "worker", "beat", faults={"worker": points})
    graph.drill.run()
    graph.drill.settle(timeout=60)
    graph.check(traces={"prepare": 2, "close": 2})
    assert graph.cluster.restarts("worker") == 2


def test_commands_end_with_their_worker(graph: GraphDrill) -> None:
    """The worker alone is killed: what bash runs would go on, in a process group of its own, beside its repetition."""
    graph.shut("tell", "again")
    graph.cluster.start("control", "worker", "beat")
    graph.drill.run()
    graph.wait_until_reached("tell", "again")
    commands = graph.commands()
    assert len(commands) == 2
    worker = graph.cluster.process("worker")
    pool = [child for child in worker.children() if child.name() == worker.name()]
    for process in [*pool, worker]:
        process.kill()
    graph.drill.injected()
    wait_until(lambda: not any(map(_runs, commands)), description="the commands have ended", timeout=5)
    graph.open("tell", "again")
    graph.drill.settle(timeout=60)
    graph.check(run="failed", states={"tell": "failed"}, traces={"tell": 0})
    assert _MAY_HAVE_RUN in graph.error("tell")


def test_messages_that_are_lost_between_steps_repeat_none(graph: GraphDrill) -> None:
    """Workers die after a step's end is written: before the next one is sent, and amid the messages for three."""
    points = "after-commit-before-publish=kill@1;before-publish:batchord.run_step=kill@2"
    graph.cluster.start("control", "worker", "beat", faults={"worker": points})
    graph.drill.run()
    for point in ("after-commit-before-publish", "before-publish:batchord.run_step"):
        graph.drill.wait_until_fired(point)
    graph.drill.settle(timeout=60)
    graph.check()
    assert [graph.attempts(step) for step in _TASKS] == [1] * len(_TASKS)


def test_a_control_worker_that_dies_between_commit_and_message_repeats_no_step(graph: GraphDrill) -> None:
    """After the run was opened, and after the Predict step has ended."""
    points = "after-commit-before-publish=kill@1;before-publish:batchord.run_step=kill@2"
    graph.cluster.start("control", "worker", "beat", faults={"control": points})
    graph.drill.run()
    for point in ("after-commit-before-publish", "before-publish:batchord.run_step"):
        graph.drill.wait_until_fired(point)
    graph.drill.settle(timeout=60)
    graph.check()
    assert [graph.attempts(step) for step in _TASKS] == [1] * len(_TASKS)


@pytest.mark.parametrize(
    ("point", "step", "traces"),
    [
        ("before-step-end:prepare", "prepare", {"prepare": 2}),
        ("before-step-end:again", "again", {"again": 2}),
        ("before-sql-commit", "keep", {}),
        ("after-sql-commit", "keep", {}),
    ],
)
def test_a_worker_that_was_stopped_past_its_lease_ends_no_step(
    graph: GraphDrill, point: str, step: str, traces: dict[str, int]
) -> None:
    """Another executes the step; continued after that, the first changes nothing."""
    graph.cluster.start("control", "worker", "beat", faults={"worker": f"{point}=stop"})
    graph.drill.run()
    graph.drill.wait_until_fired(point)
    (child,) = wait_until(lambda: _stopped(graph), description="a pool child is stopped")
    graph.drill.settle(timeout=60)
    assert graph.attempts(step) == 2
    before = graph.cluster.sql("SELECT step.*::text FROM batchord.steps AS step ORDER BY ordinal")
    child.send_signal(signal.SIGCONT)
    # Beat must be silent for that: its sweeps are messages, too.
    graph.cluster.stop("beat")
    graph.drill.wait_until_idle()
    assert graph.cluster.sql("SELECT step.*::text FROM batchord.steps AS step ORDER BY ordinal") == before
    graph.check(traces=traces)


def test_a_command_ends_when_its_worker_finds_its_lease_lost(graph: GraphDrill) -> None:
    """Its worker was stopped, the command was not: repeated by another, it must not go on beside that."""
    graph.shut("again")
    graph.cluster.start("control", "worker", "beat")
    graph.drill.run()
    graph.wait_until_reached("again")
    ((worker,),) = graph.cluster.sql("SELECT worker FROM batchord.steps WHERE name = 'again'")
    child = psutil.Process(int(worker.rpartition(":")[2]))
    (command,) = graph.commands()
    child.send_signal(signal.SIGSTOP)
    graph.drill.injected()
    wait_until(lambda: len(graph.commands()) == 2, description="another worker repeats the command")
    child.send_signal(signal.SIGCONT)
    wait_until(lambda: not _runs(command), description="the first command has ended")
    graph.open("again")
    graph.drill.settle(timeout=60)
    graph.check()
    assert graph.attempts("again") == 2


def test_redis_is_flushed_amid_a_graph(own_drill: Drill) -> None:
    """Once with a function at work, once with two commands: what was next is sent again, nothing is repeated."""
    graph = GraphDrill(own_drill)
    graph.shut("prepare", "tell", "again")
    graph.cluster.start("control", "worker", "beat", **_LONG_LEASE)
    graph.drill.run()
    with redis.Redis.from_url(graph.cluster.environment["BATCHORD_REDIS_URL"]) as broker:
        for steps in (("prepare",), ("tell", "again")):
            graph.wait_until_reached(*steps)
            broker.flushall()
            graph.drill.injected()
            graph.open(*steps)
    graph.drill.settle(timeout=60)
    graph.check()
    assert [graph.attempts(step) for step in _TASKS] == [1] * len(_TASKS)


def test_postgresql_is_restarted_amid_steps(own_drill: Drill, own_home: Path) -> None:
    """A function and two commands are at work meanwhile: they go on, and their ends are written when it is back."""
    graph = GraphDrill(own_drill)
    graph.shut("prepare", "tell", "again")
    graph.cluster.start("control", "worker", "beat", **_LONG_LEASE)
    graph.drill.run()
    for steps in (("prepare",), ("tell", "again")):
        graph.wait_until_reached(*steps)
        server = process_of(own_home, Server.POSTGRES)
        server.send_signal(signal.SIGQUIT)
        graph.drill.injected()
        server.wait(timeout=20)
        graph.open(*steps)
        start_servers(own_home)
    graph.drill.settle(timeout=90)
    graph.check()


def test_a_ledger_that_is_cut_off_when_a_step_ends_makes_nobody_repeat_it(graph: GraphDrill) -> None:
    """Its worker lives and knows how it ended: a command that must not run twice has not failed for that."""
    cluster = graph.cluster
    graph.shut("tell")
    cluster.start("control", "worker", "beat", **_LONG_LEASE)
    graph.drill.run()
    graph.wait_until_reached("tell")
    wait_until(
        lambda: cluster.sql("SELECT count(*) FROM batchord.steps WHERE finished_at IS NULL") == [(2,)],
        description="the other steps have ended",
    )
    with psycopg.connect(cluster.database_url) as session:
        session.execute("SELECT id FROM batchord.runs FOR UPDATE")
        graph.open("tell")
        wait_until(lambda: cluster.sql(_CUT_WHO_WAITS), description="the end waits for the run's lock, and is cut off")
        graph.drill.injected()
    graph.drill.settle(timeout=60)
    graph.check()
    assert [graph.attempts(step) for step in _TASKS] == [1] * len(_TASKS)


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _stopped(graph: GraphDrill) -> list[psutil.Process]:
    return graph.cluster.stopped("worker")

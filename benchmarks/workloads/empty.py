"""The cost of a run that finds nothing: processor time of all processes, servers included, less that of idling."""

import time

from celery import Celery

from app.localstack import server_status
from benchmarks.measure import Row, figure, processor_seconds
from benchmarks.peers import Peers
from benchmarks.stack import Stack
from benchmarks.workloads.predictions import CONSTANT, fill

NAME = "empty"
#: Runs that are measured.
RECORDS = 600
#: Runs before, in which processes warm up.
_WARM = 60
#: Seconds from one run's request to the next one's: the stack idles in between, as between ticks.
_EVERY = 0.25
#: They take turns, so that no run waits for the one before, even on a busy machine.
_PIPELINES = 8
_IDLE_SECONDS = 60.0
_LONGEST_SECONDS = 60.0
TIMES = 1


def measure(stack: Stack, *, records: int, times: int, peers: Peers | None) -> list[Row]:
    """The rows of the table. ``records``: how many runs."""
    del peers, times
    fill(stack, "texts", "body", ("text" for _ in range(100)))
    names = [f"rows{number}" for number in range(_PIPELINES)]
    for name in names:
        stack.declare(name, CONSTANT.replace('"rows"', f'"{name}"'))
    stack.start()
    for name in names:
        stack.run(name)
    _runs(stack, _WARM)
    before = _processor_seconds(stack)
    started = time.monotonic()
    time.sleep(_IDLE_SECONDS)
    idle = {name: seconds - before[name] for name, seconds in _processor_seconds(stack).items()}
    share = {name: seconds / (time.monotonic() - started) for name, seconds in idle.items()}
    before = _processor_seconds(stack)
    started = time.monotonic()
    _runs(stack, records)
    elapsed = time.monotonic() - started
    each = {
        name: (seconds - before[name] - share[name] * elapsed) / records
        for name, seconds in _processor_seconds(stack).items()
    }
    stack.stop()
    rows = [figure(NAME, "a run that finds nothing: processor time", seconds=sum(each.values()), digits=5)]
    rows += [figure(NAME, f"of it, {name}", seconds=seconds, digits=5) for name, seconds in each.items()]
    return [*rows, figure(NAME, "idle: processor time in a second", seconds=sum(share.values()), digits=5)]


def _runs(stack: Stack, count: int) -> None:
    """Asks for runs at an interval, and waits until all have ended. Raises RuntimeError if one finds anything."""
    ((runs_before,),) = stack.sql("SELECT count(*) FROM batchord.runs")
    with Celery(broker=stack.redis_url, set_as_current=False) as broker:
        began = time.monotonic()
        for number in range(count):
            values = {"pipeline": f"rows{number % _PIPELINES}", "trigger": "call"}
            broker.send_task("batchord.start_run", kwargs=values, queue="control", ignore_result=True)
            time.sleep(max(0.0, began + _EVERY * (number + 1) - time.monotonic()))
    deadline = time.monotonic() + _LONGEST_SECONDS
    ended = "SELECT count(*), coalesce(sum(discovered), 0)::int FROM (SELECT * FROM batchord.runs ORDER BY created_at "
    ended += "OFFSET %s) AS run WHERE state = 'succeeded'"
    while (found := stack.sql(ended, runs_before)) != [(count, 0)]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"Of {count} runs and 0 records: {found}")
        time.sleep(1.0)


def _processor_seconds(stack: Stack) -> dict[str, float]:
    """What workers and servers have used so far, without the backends of this process's own questions."""
    used = {f"the worker {name!r}": processor_seconds(pids) for name, pids in stack.pids.items()}
    servers = {str(server.name): server.pid for server in server_status(stack.home) if server.pid is not None}
    return used | {name: processor_seconds([servers[name]]) for name in ("postgres", "redis")}

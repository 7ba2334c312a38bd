"""The time from one step of a graph to the next: functions that do nothing, one after another, on an idle stack."""

import os
import statistics
from itertools import pairwise

from celery import Celery, chain

from benchmarks.measure import BARE, Measurement, Row, in_its_unit, rows
from benchmarks.peers import Peers
from benchmarks.stack import Stack

NAME = "graph"
#: Steps of a run.
RECORDS = 20
_RUNS = 5
_PIPELINE = """
from batchord import Pipeline, Python

graph = Pipeline(
    "graph", steps=[Python(f"s{{n}}", lambda: n, after=[f"s{{n - 1}}"] if n else []) for n in range({steps})]
)
"""
_HOPS = """
    SELECT extract(epoch FROM next.started_at - step.finished_at)::float8,
           extract(epoch FROM next.finished_at - step.finished_at)::float8
    FROM batchord.steps AS step JOIN batchord.steps AS next
      ON next.run_id = step.run_id AND next.ordinal = step.ordinal + 1
    WHERE step.run_id = %s
"""


def measure(stack: Stack, *, records: int, times: int, peers: Peers | None) -> list[Row]:
    """The rows of the table, each for one hop. The bare system is a chain of tasks on the same broker."""
    del peers
    stack.declare("graph", _PIPELINE.format(steps=records))
    stack.start()
    stack.run("graph")  # warms the processes up
    starts: list[float] = []
    ends: list[float] = []
    for _ in range(times * _RUNS):
        run_id, _ = stack.run("graph")
        for started, ended in stack.sql(_HOPS, run_id):
            starts.append(started)
            ends.append(ended)
    stack.stop()
    taken = {
        BARE: [_measured(seconds) for seconds in _bare_hops(stack, records, times * _RUNS)],
        "Batchord: a step's end to the next one's start": [_measured(seconds) for seconds in starts],
        "Batchord: a step's end to the next one's end": [_measured(seconds) for seconds in ends],
    }
    least, *_, most = statistics.quantiles(starts, n=20)
    print(f"a step's end to the next one's start, 5 % to 95 % of the steps: {least:.4f} to {most:.4f} s")
    return [in_its_unit(row) for row in rows(NAME, 1, taken)]


def _bare_hops(stack: Stack, steps: int, count: int) -> list[float]:
    address = f"{stack.redis_url.rpartition('/')[0]}/1"
    os.environ["PEER_REDIS_URL"] = address
    stack.start_peer("hops", "benchmarks.systems.chain_hops", PEER_REDIS_URL=address)
    app = Celery(broker=address, backend=address)
    seconds: list[float] = []
    for _ in range(count + 1):
        links = [app.signature("hops.note", args=([],)), *(app.signature("hops.note") for _ in range(steps - 1))]
        times = chain(*links)().get(timeout=60, interval=0.001)
        seconds += [later - earlier for earlier, later in pairwise(times)]
    stack.stop()
    return seconds[steps - 1 :]  # without the first chain, in which processes warm up


def _measured(seconds: float) -> Measurement:
    return Measurement(seconds=seconds, peak_mb=0.0)

"""Latency of an idle stack: from a tick to its first shard, and to the end of a run with one shard of 100 records."""

import os
import statistics
import time

from celery import Celery, chord

from benchmarks.measure import BARE, Measurement, Row, figure, in_its_unit, rows
from benchmarks.peers import Peers
from benchmarks.stack import Stack
from benchmarks.workloads.predictions import CONSTANT, fill

NAME = "latency"
#: Records of one run.
RECORDS = 100
_RUNS = 20


def measure(stack: Stack, *, records: int, times: int, peers: Peers | None) -> list[Row]:
    """The rows of the table. The bare system is a chord of one part that does nothing, on the same broker."""
    del peers
    fill(stack, "texts", "body", ("text" for _ in range(records)))
    stack.declare("rows", CONSTANT)
    started = time.perf_counter()
    stack.start()
    stack.run("rows")
    cold = time.perf_counter() - started
    first, whole = [], []
    for _ in range(times * _RUNS):
        stack.sql("INSERT INTO texts (body) SELECT 'text' FROM generate_series(1, %s)", records)
        _wait_for_idle()
        run_id, seconds = stack.run("rows")
        ((predicted, started),) = stack.sql(
            """
            SELECT run.predicted, extract(epoch FROM run.finished_at - min(shard.started_at))::float8
            FROM batchord.runs AS run JOIN batchord.shards AS shard ON shard.run_id = run.id
            WHERE run.id = %s GROUP BY run.id
            """,
            run_id,
        )
        if predicted != records:
            raise RuntimeError(f"{predicted} of {records} records were predicted")
        whole.append(seconds)
        first.append(seconds - started)
    stack.stop()
    taken = {
        BARE: [_measured(value) for value in _bare_chords(stack, times * _RUNS)],
        "Batchord: tick to first shard": [_measured(value) for value in first],
        "Batchord: tick to the run's end": [_measured(value) for value in whole],
    }
    least, *_, most = statistics.quantiles(whole, n=20)
    print(f"tick to the run's end, 5 % to 95 % of the runs: {least:.3f} to {most:.3f} s")
    start = figure(NAME, "Batchord: workers' start to the end of their first run", seconds=cold)
    return [*(in_its_unit(row) for row in rows(NAME, records, taken)), start]


def _bare_chords(stack: Stack, count: int) -> list[float]:
    address = f"{stack.redis_url.rpartition('/')[0]}/1"
    os.environ["PEER_REDIS_URL"] = address
    stack.start_peer("good", "benchmarks.systems.chord_good", PEER_REDIS_URL=address)
    app = Celery(broker=address, backend=address)
    seconds = []
    for _ in range(count):
        _wait_for_idle()
        started = time.perf_counter()
        chord([app.signature("good.total", args=([],))])(app.signature("good.total")).get(timeout=60, interval=0.001)
        seconds.append(time.perf_counter() - started)
    stack.stop()
    return seconds[1:]


def _wait_for_idle() -> None:
    time.sleep(0.1)


def _measured(seconds: float) -> Measurement:
    return Measurement(seconds=seconds, peak_mb=0.0)

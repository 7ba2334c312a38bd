"""What the local stack takes when nothing is to be done: seconds to start, memory, processor; and what a run leaves."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import redis

from benchmarks.measure import Row, processor_seconds, proportional_mb
from benchmarks.peers import Peers
from benchmarks.stack import Stack
from benchmarks.workloads.predictions import CONSTANT, fill

NAME = "footprint"
#: Of the run whose traces are counted.
RECORDS = 100_000
_IDLE_SECONDS = 30.0


def measure(stack: Stack, *, records: int, times: int, peers: Peers | None) -> list[Row]:
    """Rows of the table; ``seconds`` is what each is about, as its name says."""
    del peers, times
    fill(stack, "texts", "body", ("text" for _ in range(records)))
    stack.declare("rows", CONSTANT)
    stack.start()
    client = redis.Redis.from_url(stack.redis_url)
    stack.run("rows")
    before = client.dbsize()
    stack.forget()
    stack.run("rows")
    left = client.dbsize() - before
    print(
        f"keys left in Redis by a run of {records:,} records: {left}; in all {before}: {sorted(client.keys('*'))[:20]}"
    )
    stack.stop()
    return _local_stack(stack)


def _local_stack(stack: Stack) -> list[Row]:
    home = stack.home / "local"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BATCHORD_")}
    environment |= {"BATCHORD_HOME": str(home), "BATCHORD_PIPELINES": str(stack.home / "none")}
    Path(environment["BATCHORD_PIPELINES"]).mkdir()
    found: list[Row] = []
    try:
        for name in ("first start (databases are made)", "second start"):
            _batchord(environment, "down")
            started = time.perf_counter()
            _batchord(environment, "up")
            found.append(_row(name, seconds=time.perf_counter() - started, megabytes=0.0))
        status = json.loads(_batchord(environment, "status", "--json"))
        servers = {each["name"]: each["pid"] for each in status["servers"] if each["pid"]}
        processes = {each["name"]: each["pid"] for each in status["processes"] if each["pid"]}
        time.sleep(10)  # until all is at rest
        everybody = [*servers.values(), *processes.values()]
        before = processor_seconds(everybody)
        time.sleep(_IDLE_SECONDS)
        busy = processor_seconds(everybody) - before
        found.append(_row(f"idle: processor seconds in {_IDLE_SECONDS:.0f} s", seconds=busy, megabytes=0.0))
        for name, pid in {**servers, **processes}.items():
            found.append(_row(f"idle: {name}", seconds=0.0, megabytes=proportional_mb([pid])))
        without = [pid for name, pid in {**servers, **processes}.items() if name != "postgres"]
        found.append(_row("idle: all but PostgreSQL", seconds=0.0, megabytes=proportional_mb(without)))
        found.append(_row("idle: all", seconds=0.0, megabytes=proportional_mb(everybody)))
    finally:
        _batchord(environment, "down")
    return found


def _batchord(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-c", "from batchord.app.cli import main; main()", *arguments]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def _row(system: str, *, seconds: float, megabytes: float) -> Row:
    return Row(
        workload=NAME,
        system=system,
        seconds=round(seconds, 2),
        records_per_second=0.0,
        ratio_to_bare=None,
        peak_rss_mb=round(megabytes, 1),
    )

"""The cost of an idle local stack (seconds to start, memory, processor time), and the keys of a run in Redis."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import redis

from app.localstack.supervisor import STATUS_FILE
from benchmarks.measure import Row, figure, processor_seconds, proportional_mb
from benchmarks.peers import Peers
from benchmarks.stack import Stack
from benchmarks.workloads.predictions import CONSTANT, fill

NAME = "footprint"
#: Records of the run whose keys in Redis are counted.
RECORDS = 100_000
_IDLE_SECONDS = 30.0


def measure(stack: Stack, *, records: int, times: int, peers: Peers | None) -> list[Row]:
    """The rows of the table. The name of a row says what its ``seconds`` are."""
    del peers, times
    fill(stack, "texts", "body", ("text" for _ in range(records)))
    stack.declare("rows", CONSTANT)
    stack.start()
    client = redis.Redis.from_url(stack.redis_url)
    stack.run("rows")
    before = client.dbsize()
    stack.forget()
    stack.run("rows")
    added = client.dbsize() - before
    print(
        f"keys left in Redis by a run of {records:,} records: {added}; in all {before}: {sorted(client.keys('*'))[:20]}"
    )
    stack.stop()
    return _local_stack(stack)


def _local_stack(stack: Stack) -> list[Row]:
    home = stack.home / "local"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BATCHORD_")}
    environment |= {"BATCHORD_HOME": str(home), "BATCHORD_PIPELINES": str(stack.home / "none")}
    Path(environment["BATCHORD_PIPELINES"]).mkdir()
    rows: list[Row] = []
    try:
        for name in ("first start (databases are made)", "second start"):
            _batchord(environment, "down")
            started = time.perf_counter()
            _batchord(environment, "up")
            rows.append(figure(NAME, name, seconds=time.perf_counter() - started))
        status = json.loads(_batchord(environment, "status", "--json"))
        servers = {server["name"]: server["pid"] for server in status["servers"] if server["pid"]}
        processes = {process["name"]: process["pid"] for process in status["processes"] if process["pid"]}
        time.sleep(10)  # until everything is idle
        supervisor = json.loads((home / STATUS_FILE).read_text(encoding="utf-8"))["supervisor"]
        # The processes are descendants of the supervisor, as are its guard and the process that forks them.
        all_pids = [*servers.values(), supervisor]
        before = processor_seconds(all_pids)
        time.sleep(_IDLE_SECONDS)
        busy = processor_seconds(all_pids) - before
        rows.append(figure(NAME, f"idle: processor seconds in {_IDLE_SECONDS:.0f} s", seconds=busy))
        for name, pid in {**servers, **processes}.items():
            rows.append(figure(NAME, f"idle: {name}", megabytes=proportional_mb([pid])))
        others = proportional_mb([supervisor]) - proportional_mb(processes.values())
        rows.append(figure(NAME, "idle: supervisor, its guard and its fork server", megabytes=others))
        without = [pid for pid in all_pids if pid != servers["postgres"]]
        rows.append(figure(NAME, "idle: all but PostgreSQL", megabytes=proportional_mb(without)))
        rows.append(figure(NAME, "idle: all", megabytes=proportional_mb(all_pids)))
    finally:
        _batchord(environment, "down")
    return rows


def _batchord(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-c", "from batchord.app.cli import main; main()", *arguments]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout

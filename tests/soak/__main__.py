"""A long time of writing, ticking and dying; then every record must have been predicted exactly once.

``python -m tests.soak --minutes 30 --seed 7``: the seed decides which faults come, in which order and after which
pauses. Exit code 1 when anything was lost or done twice.
"""

import argparse
import logging
import random
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from app.adapters.ledger import migrate
from app.adapters.stack import start_servers, stop_servers
from tests.acceptance.cluster import Cluster
from tests.exactly_once import Findings, findings
from tests.soak.chaos import Chaos
from tests.soak.writers import Writers
from tests.waiting import wait_until

_TABLES = ("notes", "letters")
_PROCESSES = ("control", "control2", "worker", "worker2", "beat", "beat2")
#: One pipeline ordered by time, one by number.
_PIPELINE = """
    import threading
    from app import Pipeline, Predict, SqlSource, every

    def length(frame):
        threading.Event().wait(0.002 * len(frame))  # a model takes its time
        if (frame["body"] == "bad").any():
            raise ValueError("cannot bear it")
        return frame["body"].str.len()

    {table} = Pipeline(
        "{table}",
        schedule=every(seconds={seconds}),
        steps=[Predict(
            "predict",
            source=SqlSource("SELECT id, body, created_at FROM {table}", key="id", arrival="{arrival}"),
            model=length,
            batch_rows=25,
            shard_rows=200,
        )],
    )
"""
_SETTINGS = {
    "BATCHORD_VISIBILITY_TIMEOUT_SECONDS": "20",
    "BATCHORD_SHARD_TIME_LIMIT_SECONDS": "15",
    # Faults come every few seconds: attempts that only met them must not fail a shard for good.
    "BATCHORD_MAX_ATTEMPTS": "100",
}
_SETTLE_SECONDS = 300
_console = Console()


def main() -> int:
    """Runs the soak; 0 when nothing was lost and nothing was done twice."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=None, help="repeats the faults of an earlier soak")
    options = parser.parse_args()
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # the writers' connections break, and that is meant
    seed = random.randrange(10**6) if options.seed is None else options.seed  # noqa: S311 -- not for secrets
    home = Path(tempfile.mkdtemp(prefix="batchord-soak-"))
    _console.print(f"Soak of {options.minutes:g} minutes with seed {seed}; servers and logs in {home}", soft_wrap=True)
    try:
        clean = _soak(home, seconds=options.minutes * 60, seed=seed)
    finally:
        stop_servers(home)
    if clean:
        shutil.rmtree(home)
    else:
        _console.print(f"Logs and data are kept in {home}.", soft_wrap=True)
    return 0 if clean else 1


def _soak(home: Path, *, seconds: float, seed: int) -> bool:
    servers = start_servers(home)
    environment = servers.environment() | {"BATCHORD_HOME": str(home), "OMP_NUM_THREADS": "1"} | _SETTINGS
    migrate(environment["BATCHORD_DATABASE_URL"])
    chance = random.Random(seed)  # noqa: S311 -- not for secrets
    with Cluster(environment, home, patience=1.0) as cluster:
        for table, arrival, every in (("notes", "created_at", 5), ("letters", "id", 7)):
            cluster.sql(
                f"CREATE TABLE {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL, "
                "created_at timestamptz NOT NULL DEFAULT now())"
            )
            cluster.pipeline(table, _PIPELINE.format(table=table, arrival=arrival, seconds=every))
        cluster.start(*_PROCESSES)
        chaos = Chaos(cluster, home, chance)
        with Writers(cluster.database_url, _TABLES, seed=seed) as writers:
            _strike_until(time.monotonic() + seconds, chaos, chance)
        chaos.go_on(all_of_them=True)
        settled = _settle(cluster)
        _report(cluster, chaos, writers, settled)
        return settled is not None


def _strike_until(end: float, chaos: Chaos, chance: random.Random) -> None:
    begin = time.monotonic()
    while time.monotonic() < end:
        due = min(time.monotonic() + chance.uniform(3, 8), end)
        wait_until(partial(_tend_until, due, chaos), description="the pause between two faults is over")
        struck = chaos.strike()
        _console.print(f"{time.monotonic() - begin:7.1f} s  {struck}", soft_wrap=True, highlight=False)


def _tend_until(due: float, chaos: Chaos) -> bool:
    chaos.go_on()
    return time.monotonic() >= due


def _settle(cluster: Cluster) -> float | None:
    """Seconds from the last fault until all was accounted for; None when that took too long."""
    begin = time.monotonic()
    with suppress(AssertionError):
        wait_until(
            lambda: all(found == Findings() for found in _found(cluster).values()),
            description="all is accounted for",
            timeout=_SETTLE_SECONDS,
            interval=1,
        )
        return time.monotonic() - begin
    return None


def _found(cluster: Cluster) -> dict[str, Findings]:
    with psycopg.connect(cluster.database_url) as connection:
        # One view of all: ticks go on, and what has just begun is no finding.
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return {table: findings(connection, table, table) for table in _TABLES}


def _report(cluster: Cluster, chaos: Chaos, writers: Writers, settled: float | None) -> None:
    faults = Table("fault", "times", "nothing to harm")
    for name in sorted(chaos.injected | chaos.missed):
        faults.add_row(name, f"{chaos.injected[name]}", f"{chaos.missed[name]}")
    faults.add_section()
    faults.add_row("all", f"{chaos.injected.total()}", f"{chaos.missed.total()}")
    _console.print(faults)
    result = Table("pipeline", "records", "predicted", "rejected", "runs", "lost", "twice", "other findings")
    for table, found in _found(cluster).items():
        ((records,),) = cluster.sql(f"SELECT count(*) FROM {table}")  # noqa: S608 -- our own name
        counts = [
            cluster.sql(f"SELECT count(*) FROM batchord.{each} WHERE pipeline = %s", table)[0][0]  # noqa: S608 -- as above
            for each in ("predictions", "rejections", "runs")
        ]
        others = sum(asdict(found).values()) - found.lost - found.twice
        result.add_row(table, *(f"{number}" for number in (records, *counts, found.lost, found.twice, others)))
    _console.print(result)
    reasons = cluster.sql("SELECT reason, count(*) FROM batchord.rejections GROUP BY reason ORDER BY reason")
    states = cluster.sql("SELECT state, count(*) FROM batchord.runs GROUP BY state ORDER BY state")
    _console.print(f"Rejected: {_listed(reasons)}. Runs: {_listed(states)}. Rolled back: {writers.rolled_back}.")
    if settled is None:
        _console.print(f"NOT CLEAN {_SETTLE_SECONDS} s after the last fault.")
    else:
        _console.print(f"Clean {settled:.1f} s after the last fault: nothing lost, nothing twice.")


def _listed(rows: list[tuple[object, ...]]) -> str:
    return ", ".join(f"{count} {name}" for name, count in rows) or "none"


if __name__ == "__main__":
    sys.exit(main())

"""A long time of writing, ticking and dying; then every record must have been predicted exactly once.

``python -m tests.soak --minutes 30 --seed 7``: the seed decides which faults come, in which order and after which
pauses. With ``--pooler`` Batchord, and half of the programs that write, reach PostgreSQL through PgBouncer, which dies,
too. Exit code 1 when anything was lost or done twice, or stood still for another's sake.
"""

import argparse
import logging
import random
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from rich.console import Console

from app.localstack import start_servers, stop_servers, superuser_url
from batchord.ledger.roles.preparing import prepare_database
from tests.acceptance.cluster import Cluster
from tests.pooler import Pooler, pgbouncer
from tests.soak.chaos import Chaos
from tests.soak.locks import LOCK_SECONDS
from tests.soak.report import report
from tests.soak.sources import ADDRESS, SOURCES
from tests.soak.verdict import verdicts
from tests.soak.writers import Writers
from tests.waiting import wait_until

_PROCESSES = ("control", "control2", "worker", "worker2", "beat", "beat2")
_SETTINGS = {
    "BATCHORD_VISIBILITY_TIMEOUT_SECONDS": "20",
    "BATCHORD_SHARD_TIME_LIMIT_SECONDS": "15",
    "BATCHORD_SOURCE_STATEMENT_SECONDS": "10",
    "BATCHORD_SOURCE_LOCK_SECONDS": f"{LOCK_SECONDS}",
    # Faults come every few seconds: attempts that only met them must not fail a shard for good.
    "BATCHORD_MAX_ATTEMPTS": "100",
}
#: More than the default: two control workers of four threads, four processes that predict, and programs that write.
_SERVER_SESSIONS = 40
_SETTLE_SECONDS = 300
#: Wide enough for the tables where it is a file.
_console = Console(width=None if sys.stdout.isatty() else 120)


def main() -> int:
    """Runs the soak; 0 when nothing was lost and nothing was done twice."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=None, help="repeats the faults of an earlier soak")
    parser.add_argument("--pooler", action="store_true", help="goes through PgBouncer, which must be installed")
    options = parser.parse_args()
    program = pgbouncer() if options.pooler else None
    if options.pooler and program is None:
        parser.error("--pooler needs PgBouncer, which is not installed: apt-get install pgbouncer.")
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # the writers' connections break, and that is meant
    seed = random.randrange(10**6) if options.seed is None else options.seed  # noqa: S311 -- not for secrets
    home = Path(tempfile.mkdtemp(prefix="batchord-soak-"))
    way = "" if program is None else " through PgBouncer"
    _console.print(
        f"Soak of {options.minutes:g} minutes with seed {seed}{way}; servers and logs in {home}", soft_wrap=True
    )
    try:
        clean = _soak(home, seconds=options.minutes * 60, seed=seed, program=program)
    finally:
        stop_servers(home)
    if clean:
        shutil.rmtree(home)
    else:
        _console.print(f"Logs and data are kept in {home}.", soft_wrap=True)
    return 0 if clean else 1


def _soak(home: Path, *, seconds: float, seed: int, program: str | None) -> bool:
    """``program``: PgBouncer's; None: all go to PostgreSQL itself."""
    servers = start_servers(home)
    environment = servers.environment() | {"BATCHORD_HOME": str(home), "OMP_NUM_THREADS": "1"} | _SETTINGS
    url = superuser_url(home)  # writers, observers, and sessions that end other sessions
    prepare_database(servers.database_roles())
    chance = random.Random(seed)  # noqa: S311 -- not for secrets
    with ExitStack() as resources:
        pooler = None
        if program is not None:
            pooler = Pooler(
                program,
                environment["BATCHORD_DATABASE_URL"],
                sessions=_SERVER_SESSIONS,
                log=home / "logs" / "pgbouncer.log",
            )
            resources.enter_context(pooler)
        pooled_url = None if pooler is None else pooler.through(url)
        cluster = resources.enter_context(Cluster(environment, home, database_url=url, patience=1.0))
        for source in SOURCES:
            for declaration in source.declarations():
                cluster.sql(declaration)
            cluster.pipeline(source.table, source.pipeline())
        cluster.environment[ADDRESS] = pooled_url or environment["BATCHORD_SOURCE_URL"]
        if pooled_url is not None:  # which has one user for all
            names = ("BATCHORD_DATABASE_URL", "BATCHORD_AUTHOR_URL", "BATCHORD_SOURCE_URL")
            cluster.environment |= dict.fromkeys(names, pooled_url)
        cluster.start(*_PROCESSES)
        chaos = Chaos(cluster, home, chance, pooler)
        with Writers(url, pooled_url, seed=seed) as writers:
            _strike_until(time.monotonic() + seconds, chaos, chance)
            chaos.end()  # otherwise a writer would wait for ever for a stopped process
        return _is_clean(cluster, chaos, writers)


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


def _is_clean(cluster: Cluster, chaos: Chaos, writers: Writers) -> bool:
    settled = _settle(cluster)
    report(_console, cluster, chaos, writers)
    if settled is None:
        _console.print(f"NOT CLEAN {_SETTLE_SECONDS} s after the last fault.")
    else:
        _console.print(f"Clean {settled:.1f} s after the last fault: nothing lost, nothing twice.")
    return settled is not None and not chaos.locks.stood_still


def _settle(cluster: Cluster) -> float | None:
    """Seconds from the last fault until all was accounted for; None when that took too long."""
    begin = time.monotonic()
    with suppress(AssertionError):
        wait_until(
            lambda: all(verdict.clean for verdict in verdicts(cluster.database_url).values()),
            description="all is accounted for",
            timeout=_SETTLE_SECONDS,
            interval=1,
        )
        return time.monotonic() - begin
    return None


if __name__ == "__main__":
    sys.exit(main())

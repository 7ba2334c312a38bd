"""What goes wrong, by chance: processes and servers are killed, stopped for a while, cut off and flushed.

Besides, tables are locked, and records come with positions that nothing can follow.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import redis

from app.localstack import Server, start_servers
from tests.acceptance.cluster import Cluster
from tests.drills.own_servers import kill, process_of
from tests.pooler import Pooler
from tests.soak.locks import NothingToHarm, TableLocks
from tests.soak.sources import SOURCES
from tests.soak.writers import NAME

_WORKERS = ("worker", "worker2")
_CONTROLS = ("control", "control2")
_BEATS = ("beat", "beat2")


class Chaos:
    """Injects one fault at a time; which one, and where, is decided by ``chance`` alone."""

    def __init__(self, cluster: Cluster, home: Path, chance: random.Random, pooler: Pooler | None) -> None:
        """``pooler`` is the pooler before PostgreSQL, or None."""
        self.locks = TableLocks(cluster.database_url, chance)
        self._cluster = cluster
        self._home = home
        self._chance = chance
        #: Processes that stand still, and when they go on, by the monotonic clock.
        self._stopped: list[tuple[float, psutil.Process]] = []
        self._faults: dict[str, tuple[int, Callable[[], None]]] = {
            "a worker and its pool killed": (4, lambda: cluster.kill(chance.choice(_WORKERS))),
            "a pool child killed": (6, self._kill_child),
            "a pool child stopped for up to 8 s": (4, self._stop_child),
            "a control worker killed": (4, lambda: cluster.kill(chance.choice(_CONTROLS))),
            "a control worker stopped for up to 8 s": (
                2,
                lambda: self._stop(cluster.process(chance.choice(_CONTROLS))),
            ),
            "a beat killed": (3, lambda: cluster.kill(chance.choice(_BEATS))),
            "Batchord's PostgreSQL sessions cut": (4, self._cut_sessions),
            "PostgreSQL killed and restarted": (1, lambda: self._restart(Server.POSTGRES)),
            "Redis killed and restarted": (2, lambda: self._restart(Server.REDIS)),
            "Redis stopped for up to 8 s": (2, lambda: self._stop(process_of(home, Server.REDIS))),
            "Redis flushed": (2, self._flush),
            "a source's table locked": (4, self.locks.strike),
            "a record of the future written": (5, self._stray),
        }
        if pooler is not None:
            self._faults |= {
                "PgBouncer killed and restarted": (3, pooler.restart),
                "PgBouncer stopped for up to 8 s": (2, lambda: self._stop(pooler.process)),
            }
        #: How often each fault was injected, and how often it had no target.
        self.injected: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()

    def strike(self) -> str:
        """Injects one fault and returns its name."""
        names = list(self._faults)
        name = self._chance.choices(names, [self._faults[each][0] for each in names])[0]
        try:
            self._faults[name][1]()
        except (psutil.Error, redis.ConnectionError, redis.TimeoutError, psycopg.OperationalError, NothingToHarm):
            # It is being started again after the fault before this one, or locked.
            self.missed[name] += 1
            return f"{name}: nothing to harm"
        self.injected[name] += 1
        return name

    def go_on(self, *, all_of_them: bool = False) -> None:
        """Continues the processes that have been stopped for long enough."""
        for due, process in list(self._stopped):
            if all_of_them or time.monotonic() >= due:
                self._stopped.remove((due, process))
                if process.is_running():
                    process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Continues all stopped processes, and returns once no table is locked."""
        self.go_on(all_of_them=True)
        self.locks.end()

    def _stop(self, process: psutil.Process) -> None:
        process.send_signal(signal.SIGSTOP)
        self._stopped.append((time.monotonic() + self._chance.uniform(0.5, 8), process))

    def _child(self) -> psutil.Process:
        name, place = self._chance.choice(_WORKERS), self._chance.random()
        children = self._cluster.pool(name)
        if not children:
            raise psutil.NoSuchProcess(-1, name)
        return children[int(place * len(children))]

    def _kill_child(self) -> None:
        self._child().kill()

    def _stop_child(self) -> None:
        self._stop(self._child())

    def _cut_sessions(self) -> None:
        with psycopg.connect(self._cluster.database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND application_name <> %s AND pid <> pg_backend_pid()",
                [NAME],
            )

    def _stray(self) -> None:
        source = self._chance.choice(SOURCES)
        position = self._chance.choice(source.strays)
        with psycopg.connect(self._cluster.database_url, application_name=NAME, autocommit=True) as connection:
            connection.execute("SET lock_timeout = '1s'")  # processes that are stopped meanwhile wait to be continued
            connection.execute(f"INSERT INTO {source.table} (body, {source.arrival}) VALUES ('stray', {position})")  # noqa: S608 -- our own

    def _restart(self, server: Server) -> None:
        self.go_on(all_of_them=True)  # a stopped process keeps the port of a killed server
        kill(process_of(self._home, server))
        start_servers(self._home, needs=[server])

    def _flush(self) -> None:
        with redis.Redis.from_url(self._cluster.environment["BATCHORD_REDIS_URL"], socket_timeout=5) as client:
            client.flushall()

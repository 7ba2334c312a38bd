"""Connections to the ledger: one small pool per process, and psycopg's errors in Batchord's words."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from batchord.core.errors import TransientError
from batchord.database.own import LOOK_NOWHERE, MARK_BOOKKEEPING, MARK_RESULTS
from batchord.ledger.failures import MISSING, PASSING, translated
from batchord.processes.per_process import PerProcess

Connection = psycopg.Connection[DictRow]

# It says each second again what Connections.check() says once.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)

#: How the ledger's sessions are called in ``pg_stat_activity``, for people.
APPLICATION_NAME = "batchord-ledger"


class Connections:
    """A pool that is opened on first use and never shared across a fork."""

    def __init__(
        self, database_url: str, *, max_size: int = 4, lock_seconds: float = 60, wait_seconds: float = 20
    ) -> None:
        """``lock_seconds``: how long a process that is stopped in mid-transaction may hold the rows it locked.

        ``wait_seconds``: how long a transaction waits for a connection.
        """
        self._url = database_url
        self._max_size = max_size
        self._wait_seconds = wait_seconds
        # A process that is stopped, swapped out or cut off between two statements would keep its row locks, and
        # whoever wants to take its shard over would wait for it without end.
        milliseconds = max(1, int(lock_seconds * 1000))
        begin = f"BEGIN; SET LOCAL idle_in_transaction_session_timeout = {milliseconds}; {LOOK_NOWHERE}"
        self._begin = f"{begin}; {MARK_BOOKKEEPING}".encode()
        self._begin_results = f"{begin}; {MARK_RESULTS}".encode()
        self._pool = PerProcess(self._open)

    @contextmanager
    def transaction(self, *, writes_results: bool = False) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back when it raises.

        ``writes_results``: that it adds predictions or rejections, which may be the records of another pipeline's
        source; discovery there has to wait for it.
        """
        try:
            with self._pool().connection() as connection:
                # One round trip, as BEGIN alone would be. No setting of the session: behind a pooler that would be
                # whoever's comes next.
                connection.execute(self._begin_results if writes_results else self._begin)
                yield connection
        except PoolTimeout as error:
            self._raise_cause(error)
        except (*PASSING, *MISSING, psycopg.errors.InsufficientPrivilege) as error:
            raise translated(error, self._url) from error

    def check(self) -> None:
        """Asks the database whether it lets us in.

        Raises ConfigurationError where no later attempt will, TransientError where one may.
        """
        try:
            psycopg.connect(self._url, **_CONNECT).close()
        except psycopg.Error as error:
            # Not chained: libpq may quote what it could not read.
            raise translated(error, self._url) from None

    def _raise_cause(self, error: PoolTimeout) -> NoReturn:
        """The pool knows only that it waited in vain; the server says why."""
        self.check()
        raise translated(error, self._url) from None

    def close(self) -> None:
        """Ends the pool's connections, if this process opened any."""
        pool = self._pool.take()
        if pool is not None:
            pool.close()

    def _open(self) -> "ConnectionPool[Connection]":
        with suppress(TransientError):  # the pool waits for a server that starts
            self.check()  # a refusal is told at once: the pool would repeat it, and tell nobody
        return ConnectionPool(
            self._url,
            min_size=1,
            max_size=self._max_size,
            timeout=self._wait_seconds,
            open=True,
            configure=self._avoid_prepared,
            # A server that restarted costs one failed check instead of a failed shard.
            check=self._check,
            kwargs=_CONNECT,
        )

    def _check(self, connection: Connection) -> None:
        """Raises OperationalError when the connection is lost; the pool then hands out another."""
        try:
            ConnectionPool.check_connection(connection)
        except psycopg.OperationalError:
            # Whatever cut this one has cut them all, most likely. The pool alone finds that out one by one, and
            # waits 1, 2, 4, … seconds in between: longer than a lease may last.
            self._pool().check()
            raise

    def _avoid_prepared(self, connection: Connection) -> None:
        """Behind a transaction pooler a prepared statement stays with a session of the server that others get."""
        row = connection.execute("SELECT pg_catalog.pg_backend_pid() AS pid").fetchone()
        # A pooler makes up the number that a client needs to cancel a statement.
        if row is None or row["pid"] != connection.info.backend_pid:
            connection.prepare_threshold = None


_CONNECT: dict[str, Any] = {
    "row_factory": dict_row,
    # Transactions are begun by Connections.transaction(), in one round trip with their settings.
    "autocommit": True,
    "application_name": APPLICATION_NAME,
    "connect_timeout": 10,
    # Whatever the database, the role or the environment has set: keys and labels are any texts.
    "client_encoding": "utf8",
    # A peer that vanished without a word is noticed within a minute.
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

"""Connections to the ledger: one small pool per process. Psycopg's errors become Batchord's."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NoReturn

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from batchord.core.errors import TransientError
from batchord.database.own import LOOK_NOWHERE, MARK_BOOKKEEPING, MARK_READING, MARK_RESULTS
from batchord.database.texts import SAME_TEXTS
from batchord.ledger.failures import MISSING, PASSING, translated
from batchord.processes.per_process import PerProcess

Connection = psycopg.Connection[DictRow]

# Its warnings say nothing that is not raised as well. The pool repeats each second what Connections.check() says once.
# A rollback fails because of Ctrl-C or a lost connection.
logging.getLogger("psycopg").setLevel(logging.ERROR)

#: How SQLSTATEs begin with which a server ends a session, or says that it is about to end.
_ENDS = "57P"
#: The name of the ledger's sessions in ``pg_stat_activity``, for people.
APPLICATION_NAME = "batchord-ledger"
#: A person's SQL may be in it: a text in quotes must end where the standard says, even if the server's settings differ.
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL standard_conforming_strings = on"


class Connections:
    """A pool that opens on first use. Processes after a fork do not share it."""

    def __init__(
        self, database_url: str, *, max_size: int = 4, lock_seconds: float = 60, wait_seconds: float = 20
    ) -> None:
        """``lock_seconds``: how long a process that is stopped during a transaction may hold the rows it locked.

        ``wait_seconds``: how long a transaction waits for a connection.
        """
        self._url = database_url
        self._max_size = max_size
        self._wait_seconds = wait_seconds
        # A process that is stopped, swapped out or cut off between two statements would keep its row locks. A worker
        # that takes over its shard would wait for them without end.
        milliseconds = max(1, int(lock_seconds * 1000))
        limits = f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}; {LOOK_NOWHERE}"
        self._begin = f"BEGIN; {limits}; {MARK_BOOKKEEPING}".encode()
        self._begin_results = f"BEGIN; {limits}; {MARK_RESULTS}".encode()
        self._begin_snapshot = "; ".join([_SNAPSHOT, limits, *SAME_TEXTS, MARK_READING]).encode()
        self._pool = PerProcess(self._open)

    @contextmanager
    def transaction(self, *, writes_results: bool = False, then: bytes = b"") -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back if the block raises.

        ``writes_results``: whether it adds predictions or rejections. These may be records of another pipeline's
        source, whose discovery then has to wait for the transaction. ``then``: a statement without values that goes to
        the server together with the beginning.
        """
        begin = self._begin_results if writes_results else self._begin
        with self._begun(begin + b"; " + then if then else begin) as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One transaction that only reads, and in which every statement sees the rows of the same moment.

        It locks no row, and discovery does not wait for it, however long it lasts.
        """
        with self._begun(self._begin_snapshot) as connection:
            yield connection

    @contextmanager
    def _begun(self, begin: bytes) -> Iterator[Connection]:
        try:
            with ExitStack() as held:
                yield self._begin_on_one(held, begin)
        except PoolTimeout as error:
            self._raise_cause(error)
        except (*PASSING, *MISSING, psycopg.errors.InsufficientPrivilege) as error:
            raise translated(error, self._url) from error

    def _begin_on_one(self, held: ExitStack, begin: bytes) -> Connection:
        """A connection from the pool on which ``begin`` was executed. The connection goes back when ``held`` ends.

        A connection may have been lost while it was idle, as after a restart of the server. The beginning shows it:
        another connection is taken then. A check before it was rejected: a round trip more for each transaction.
        """
        end = time.monotonic() + self._wait_seconds
        while True:
            with ExitStack() as taken:
                connection: Connection = taken.enter_context(self._pool().connection())
                try:
                    # One round trip, like BEGIN alone. The settings are the transaction's, not the session's: behind a
                    # pooler, another client gets the session next.
                    connection.execute(begin)
                except psycopg.OperationalError as error:
                    if not _is_lost(connection, error) or time.monotonic() > end:
                        raise
                    connection.close()  # the pool opens a new one in its place
                else:
                    held.push(taken.pop_all())
                    return connection
            # Most likely the other connections are lost, too. Without this check, the pool would notice it one by one.
            self._pool().check()

    def check(self) -> None:
        """Checks that the database accepts a connection.

        Raises ConfigurationError if no later attempt can succeed, TransientError if one may.
        """
        try:
            psycopg.connect(self._url, **_CONNECT).close()
        except psycopg.Error as error:
            # Not chained: libpq's error may quote parts of the address.
            raise translated(error, self._url) from None

    def _raise_cause(self, error: PoolTimeout) -> NoReturn:
        """Raises the cause of a time-out. The pool knows only that it waited in vain; the server says why."""
        self.check()
        raise translated(error, self._url) from None

    def close(self) -> None:
        """Ends the pool's connections, if this process opened any."""
        pool = self._pool.take()
        if pool is not None:
            pool.close()

    def _open(self) -> "ConnectionPool[Connection]":
        with suppress(TransientError):  # the pool waits for a server that is starting
            self.check()  # reports a refusal at once: the pool would try again and report nothing
        return ConnectionPool(
            self._url,
            min_size=1,
            max_size=self._max_size,
            timeout=self._wait_seconds,
            open=True,
            configure=self._avoid_prepared,
            kwargs=_CONNECT,
        )

    def _avoid_prepared(self, connection: Connection) -> None:
        """Turns prepared statements off behind a transaction pooler: they would stay in a session that others get."""
        row = connection.execute("SELECT pg_catalog.pg_backend_pid() AS pid").fetchone()
        # A pooler invents the backend's number that clients use to cancel statements.
        if row is None or row["pid"] != connection.info.backend_pid:
            connection.prepare_threshold = None


def _is_lost(connection: Connection, error: psycopg.OperationalError) -> bool:
    """Whether the connection is of no use any more. The server's word that it ends may come before the end."""
    return connection.closed or (error.sqlstate or "").startswith(_ENDS)


_CONNECT: dict[str, Any] = {
    "row_factory": dict_row,
    # Connections.transaction() begins transactions, in one round trip with their settings.
    "autocommit": True,
    "application_name": APPLICATION_NAME,
    "connect_timeout": 10,
    # Overrides settings of the database, the role and the environment: keys and labels may be any text.
    "client_encoding": "utf8",
    # With these, a server that vanished silently is noticed within a minute.
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

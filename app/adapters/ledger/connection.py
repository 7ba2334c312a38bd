"""Connections to the ledger: one small pool per process, and psycopg's errors in Batchord's words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from app.adapters.per_process import PerProcess
from app.core.errors import ConfigurationError, TransientError

Connection = psycopg.Connection[DictRow]

#: Marks the ledger's sessions, which never write to a source: discovery need not wait for them.
APPLICATION_NAME = "batchord-ledger"


class Connections:
    """A pool that is opened on first use and never shared across a fork."""

    def __init__(self, database_url: str, *, max_size: int = 4, lock_seconds: float = 60) -> None:
        """``lock_seconds``: how long a process that is stopped in mid-transaction may hold the rows it locked."""
        self._url = database_url
        self._max_size = max_size
        self._lock_seconds = lock_seconds
        self._pool = PerProcess(self._open)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back when it raises."""
        try:
            with self._pool().connection() as connection:
                yield connection
        except _PASSING as error:
            raise TransientError(f"The ledger's database failed: {error}") from error
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise ConfigurationError(
                f"The ledger's schema is missing or too old ({error.diag.message_primary}): run `batchord migrate`."
            ) from error

    def close(self) -> None:
        """Ends the pool's connections, if this process opened any."""
        pool = self._pool.take()
        if pool is not None:
            pool.close()

    def _open(self) -> "ConnectionPool[Connection]":
        return ConnectionPool(
            self._url,
            min_size=1,
            max_size=self._max_size,
            timeout=20,
            open=True,
            configure=self._bound_locks,
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

    def _bound_locks(self, connection: Connection) -> None:
        # A process that is stopped, swapped out or cut off between two statements would keep its row locks, and
        # whoever wants to take its shard over would wait for it without end. `options=` in the address was
        # rejected: it would replace the user's own, and poolers refuse it.
        milliseconds = max(1, int(self._lock_seconds * 1000))
        connection.execute(f"SET idle_in_transaction_session_timeout = {milliseconds}")
        connection.commit()


#: What may be over at the next try. The server ends a session that idles in a transaction with an InternalError.
_PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    PoolTimeout,
)
_CONNECT: dict[str, Any] = {
    "row_factory": dict_row,
    "application_name": APPLICATION_NAME,
    "connect_timeout": 10,
    # Whatever the database, the role or the environment has set: keys and labels are any texts.
    "client_encoding": "utf8",
    # A peer that vanished without a word is noticed within a minute.
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

"""Connections to the ledger: one small pool per process, and psycopg's errors in Batchord's words."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from app.core.errors import ConfigurationError, TransientError

Connection = psycopg.Connection[DictRow]

#: Marks the ledger's sessions, which never write to a source: discovery need not wait for them.
APPLICATION_NAME = "batchord-ledger"


class Connections:
    """A pool that is opened on first use and never shared across a fork."""

    def __init__(self, database_url: str, *, max_size: int = 4) -> None:
        self._url = database_url
        self._max_size = max_size
        self._lock = threading.Lock()
        self._pool: ConnectionPool[Connection] | None = None
        self._pid = 0

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back when it raises."""
        try:
            with self._opened().connection() as connection:
                yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
            raise TransientError(f"The ledger's database failed: {error}") from error
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise ConfigurationError(
                f"The ledger's schema is missing or too old ({error.diag.message_primary}): run `batchord migrate`."
            ) from error

    def close(self) -> None:
        """Ends the pool's connections, if this process opened any."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None and self._pid == os.getpid():
            pool.close()

    def _opened(self) -> "ConnectionPool[Connection]":
        with self._lock:
            if self._pool is None or self._pid != os.getpid():
                # A forked child must not use, nor even close, the sockets of its parent.
                self._pid = os.getpid()
                self._pool = ConnectionPool(
                    self._url,
                    min_size=1,
                    max_size=self._max_size,
                    timeout=20,
                    open=True,
                    # A server that restarted costs one failed check instead of a failed shard.
                    check=ConnectionPool.check_connection,
                    kwargs=_CONNECT,
                )
            return self._pool


_CONNECT: dict[str, Any] = {
    "row_factory": dict_row,
    "application_name": APPLICATION_NAME,
    "connect_timeout": 10,
    # A peer that vanished without a word is noticed within a minute.
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

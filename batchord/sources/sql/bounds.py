"""Limits the time of a source's reads, and ends reads from another thread."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
import sqlalchemy as sa

from batchord.database.own import LOOK_BESIDE_LEDGER, MARK_READING
from batchord.database.patient import PatientConnection
from batchord.database.texts import SAME_TEXTS
from batchord.sources.sql.source import SqlSource

#: How long to wait for an answer beyond the server's own limit.
_GRACE_SECONDS = 15.0
#: How long to wait until a server accepts the request to end a statement.
_CANCEL_SECONDS = 5.0
#: After this many steps of its virtual machine, SQLite asks whether to continue.
_STEPS = 100_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The seconds that a source's statements may take, and may wait for a lock."""

    statement: float = 300.0
    lock: float = 30.0


class Bounds:
    """The limits of one source, and its reads that are under way."""

    def __init__(self, declared: SqlSource, usual: Limits) -> None:
        self._own = (declared.statement_timeout, declared.lock_timeout)
        statement, lock = (None if own is None else own.total_seconds() for own in self._own)
        self._limits = Limits(statement=statement or usual.statement, lock=lock or usual.lock)
        #: For each read that is under way, a function that ends it.
        self._reading: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        #: The connection whose transaction all reads share at the moment; None: each has one of its own.
        self.held: sa.Connection | None = None

    @contextmanager
    def over(self, connection: sa.Connection, *, snapshot: bool = False) -> Iterator[None]:
        """Begins a transaction with these limits, and lets it be interrupted.

        ``snapshot``: all its statements see the same data, if the database supports that.
        """
        driver = connection.connection.driver_connection
        if isinstance(driver, PatientConnection):
            driver.patience = self._limits.statement + _GRACE_SECONDS
        end = _end_of(connection, driver)
        with self._lock:
            self._reading.append(end)
        try:
            self._begin(connection, driver, snapshot=snapshot)
            yield
        finally:
            with self._lock:
                self._reading.remove(end)

    def interrupt(self) -> None:
        """Ends the reads that are under way. They raise TransientError. Safe to call from another thread."""
        with self._lock:  # keep the lock: meanwhile nobody else may get the connection
            for end in self._reading:
                # If a server does not react, the limits end the read.
                with contextlib.suppress(psycopg.Error, sa.exc.SQLAlchemyError):
                    end()

    def _begin(self, connection: sa.Connection, driver: Any, *, snapshot: bool) -> None:
        match connection.dialect.name:
            case "postgresql":  # one round trip; the driver itself begins no transaction
                begin = f"BEGIN ISOLATION LEVEL {'REPEATABLE READ' if snapshot else 'READ COMMITTED'} READ ONLY"
                settings = [*SAME_TEXTS, MARK_READING, LOOK_BESIDE_LEDGER, *self._postgres()]
                connection.exec_driver_sql("; ".join([begin, *settings]))
            case "mysql" | "mariadb":  # an address for one may lead to the other
                if connection.dialect.is_mariadb:  # type: ignore[attr-defined]
                    connection.exec_driver_sql(f"SET SESSION max_statement_time = {self._limits.statement}")
                else:
                    limit = max(1, round(self._limits.statement * 1000))
                    connection.exec_driver_sql(f"SET SESSION max_execution_time = {limit}")
                connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {max(1, round(self._limits.lock))}")
            case "sqlite":
                end = time.monotonic() + self._limits.statement
                driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            case _:  # other databases have no limit that works in all their releases
                pass

    def _postgres(self) -> Iterator[str]:
        names = ("statement_timeout", "lock_timeout")
        for name, seconds, own in zip(names, (self._limits.statement, self._limits.lock), self._own, strict=True):
            milliseconds = max(1, round(seconds * 1000))
            if own is not None:
                yield f"SET LOCAL {name} = {milliseconds}"
                continue
            # A shorter limit of the role or the database stays in effect.
            longer = f"CAST(current_setting('{name}') AS interval) NOT BETWEEN '1 us' AND '{milliseconds} ms'"
            yield f"SELECT pg_catalog.set_config('{name}', '{milliseconds}', true) WHERE {longer}"


def _end_of(connection: sa.Connection, driver: Any) -> Callable[[], None]:
    """A function that ends the connection's current read. Another thread may call it."""
    if isinstance(driver, psycopg.Connection):
        return partial(driver.cancel_safe, timeout=_CANCEL_SECONDS)
    if isinstance(driver, sqlite3.Connection):
        return driver.interrupt
    if connection.dialect.name in ("mysql", "mariadb"):
        number = int(connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one())
        return partial(_kill_query, connection.engine, number)
    return lambda: None  # other databases have no way that works with all their drivers


def _kill_query(engine: sa.Engine, number: int) -> None:
    with contextlib.closing(engine.raw_connection()) as other, contextlib.closing(other.cursor()) as cursor:
        cursor.execute(f"KILL QUERY {number}")

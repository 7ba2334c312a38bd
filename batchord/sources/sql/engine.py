"""Where a source's database is, and this process's connections to it.

Every connection reads only and lives in UTC, so that a timestamp without a zone, a ``current_date`` or a
cast in the author's SQL means the same in every process.
"""

import os
import sqlite3
import threading
from typing import Any

import psycopg
import sqlalchemy as sa

from batchord.database.engine import CONNECT_TIMEOUT, create_engine, resolved_url
from batchord.database.lenient import as_text, bear_times
from batchord.database.patient import PatientConnection
from batchord.sources.sql.bounds import Bounds
from batchord.sources.sql.connections import BOUNDS
from batchord.sources.sql.source import SqlSource

#: How a source's connections are called in ``pg_stat_activity``, for people.
APPLICATION_NAME = "batchord-source"

#: Run once on each new connection. For PostgreSQL see ``connections.py``.
_SESSION: dict[str, tuple[str, ...]] = {
    # A TIMESTAMP column is shown in the session's zone: one with daylight saving has an hour twice.
    "mysql": ("SET time_zone = '+00:00'", "SET SESSION TRANSACTION READ ONLY"),
    "sqlite": ("PRAGMA query_only = ON",),
}
_SESSION["mariadb"] = _SESSION["mysql"]

#: By process and URL: a connection that a child inherits by fork would be read by two processes at once.
#: Entries of the parent stay untouched in the child, since even closing them would end the parent's session.
_engines: dict[tuple[int, str], sa.Engine] = {}
_lock = threading.Lock()


def source_url(declared: SqlSource, default_url: str) -> sa.URL:
    """The address of the source's database: its ``url``, its ``url_env``, or the ledger's.

    Raises ConfigurationError when the environment variable is not set or the URL cannot be read.
    """
    return resolved_url(declared.url, declared.url_env, default_url, whose="source")


def engine_for(url: sa.URL, bounds: Bounds | None = None) -> sa.Engine:
    """This process's engine for ``url``, made on first use; connects only when it is used.

    What is read through it stays within ``bounds``.

    Raises ConfigurationError when SQLAlchemy does not know the dialect or its driver is not installed.
    """
    cache_key = (os.getpid(), url.render_as_string(hide_password=False))
    with _lock:
        if cache_key not in _engines:
            _engines[cache_key] = _create(url)
        engine = _engines[cache_key]
    if bounds is None:
        return engine
    # Shares the pool; only the option is its own.
    bounded: sa.Engine = engine.execution_options(**{BOUNDS: bounds})
    return bounded


def dispose_engines() -> None:
    """Closes this process's idle connections to sources; the next use opens new ones."""
    with _lock:
        for cache_key in [kept for kept in _engines if kept[0] == os.getpid()]:
            _engines.pop(cache_key).dispose()


def _create(url: sa.URL) -> sa.Engine:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.get_backend_name() != "sqlite":  # in SQLite a connection is an open file
        options |= {"pool_size": 2, "max_overflow": 30, "pool_recycle": 1800, "pool_timeout": CONNECT_TIMEOUT}
    engine = create_engine(url, application_name=APPLICATION_NAME, whose="source", **options)
    if url.drivername == "postgresql+psycopg":
        sa.event.listen(engine, "do_connect", _patiently)
    sa.event.listen(engine, "connect", _begin_session(_SESSION.get(url.get_backend_name(), ())))
    return engine


def _patiently(_dialect: Any, _record: Any, arguments: Any, options: Any) -> PatientConnection:
    connection = PatientConnection.connect(*arguments, **options)
    assert isinstance(connection, PatientConnection)  # noqa: S101 -- the class whose method it is
    return connection


def _lenient(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _begin_session(statements: tuple[str, ...]) -> Any:
    def begin(connection: Any, _record: Any) -> None:
        if isinstance(connection, psycopg.Connection):
            # A position is a text where Python has no value for it: the server reads it again as the same.
            bear_times(connection.adapters, as_text)
        if isinstance(connection, sqlite3.Connection):
            # SQLite stores any bytes as text: one record that is no UTF-8 must not stop the reading of all.
            connection.text_factory = _lenient
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        connection.commit()

    return begin

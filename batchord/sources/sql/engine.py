"""The address of a source's database, and this process's connections to it.

Every connection only reads and has the time zone UTC, so that a timestamp without a zone, a ``current_date`` or a cast
in the author's SQL means the same in every process.
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

#: The name of a source's connections in ``pg_stat_activity``, for people.
APPLICATION_NAME = "batchord-source"

#: Run once on each new connection. For PostgreSQL see ``connections.py``.
_SESSION: dict[str, tuple[str, ...]] = {
    # MySQL shows a TIMESTAMP column in the session's zone: with daylight saving time, one hour would occur twice.
    "mysql": ("SET time_zone = '+00:00'", "SET SESSION TRANSACTION READ ONLY"),
    "sqlite": ("PRAGMA query_only = ON",),
}
_SESSION["mariadb"] = _SESSION["mysql"]

#: Engines by process and URL: two processes would read a connection that a child inherits by fork. The child does not
#: touch its parent's engines: even closing a connection would end the parent's session.
_engines: dict[tuple[int, str], sa.Engine] = {}
_lock = threading.Lock()


def source_url(declared: SqlSource, default_url: str) -> sa.URL:
    """The address of the source's database: its ``url``, its ``url_env``, or the ledger's.

    Raises ConfigurationError if the environment variable is not set or the URL cannot be read.
    """
    return resolved_url(declared.url, declared.url_env, default_url, whose="source")


def engine_for(url: sa.URL, bounds: Bounds | None = None) -> sa.Engine:
    """This process's engine for ``url``. It is created once, and connects only when it is used.

    ``bounds``: the limits for everything that is read through it.

    Raises ConfigurationError if SQLAlchemy does not know the dialect or the driver is not installed.
    """
    cache_key = (os.getpid(), url.render_as_string(hide_password=False))
    with _lock:
        if cache_key not in _engines:
            _engines[cache_key] = _create(url)
        engine = _engines[cache_key]
    if bounds is None:
        return engine
    # This engine shares the pool; only the option is new.
    bounded: sa.Engine = engine.execution_options(**{BOUNDS: bounds})
    return bounded


def dispose_engines() -> None:
    """Closes this process's idle connections to sources; the next use opens new ones."""
    with _lock:
        for cache_key in [kept for kept in _engines if kept[0] == os.getpid()]:
            _engines.pop(cache_key).dispose()


def _create(url: sa.URL) -> sa.Engine:
    # On PostgreSQL, :class:`.Bounds` begins transactions, in one round trip with their settings.
    is_postgres = url.drivername == "postgresql+psycopg"
    options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if is_postgres else {"pool_pre_ping": True}
    if url.get_backend_name() != "sqlite":  # in SQLite a connection is an open file
        options |= {"pool_size": 2, "max_overflow": 30, "pool_recycle": 1800, "pool_timeout": CONNECT_TIMEOUT}
    engine = create_engine(url, application_name=APPLICATION_NAME, whose="source", **options)
    if is_postgres:
        sa.event.listen(engine, "do_connect", _patiently)
    sa.event.listen(engine, "connect", _begin_session(_SESSION.get(url.get_backend_name(), ())))
    return engine


def _patiently(_dialect: Any, _record: Any, arguments: Any, options: Any) -> PatientConnection:
    connection = PatientConnection.connect(*arguments, **options)
    assert isinstance(connection, PatientConnection)  # noqa: S101 -- its class has this method
    return connection


def _lenient(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _begin_session(statements: tuple[str, ...]) -> Any:
    def begin(connection: Any, _record: Any) -> None:
        if isinstance(connection, psycopg.Connection):
            # If Python has no value for a position, it is a text, which the server reads as the same value again.
            bear_times(connection.adapters, as_text)
        if isinstance(connection, sqlite3.Connection):
            # SQLite stores any bytes as text: one record that is not UTF-8 must not stop the whole read.
            connection.text_factory = _lenient
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        connection.commit()

    return begin

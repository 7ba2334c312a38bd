"""Settings of a whole PostgreSQL server, for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


@contextmanager
def server_settings(connection: psycopg.Connection, **settings: str) -> Iterator[None]:
    """Sets them, and gives them back at the end. The connection is in autocommit mode, and a superuser's."""
    for name, value in settings.items():
        connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
    connection.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        for name in settings:
            connection.execute(f"ALTER SYSTEM RESET {name}".encode())
        connection.execute("SELECT pg_reload_conf()")

"""The address of an author's database, and SQLAlchemy's engine for it."""

import os
from typing import Any

import sqlalchemy as sa

from batchord.core.addresses.postgres import is_postgres, postgres_url
from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause

#: Seconds to wait for a connection.
CONNECT_TIMEOUT = 10
#: With these, a PostgreSQL server that vanished silently is noticed within a minute.
_KEEPALIVES = {"keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3}


def resolved_url(url: str | None, url_env: str | None, default_url: str, *, whose: str) -> sa.URL:
    """The address in ``url`` or in the variable ``url_env``, or else ``default_url``.

    ``whose`` is ``source`` or ``step``, for messages. Raises ConfigurationError if the environment variable is not set
    or the URL cannot be read.
    """
    where, text = f"The {whose}'s url=", url
    if url_env:
        where, text = f"The environment variable {url_env} of the {whose}", os.environ.get(url_env)
        if not text:
            raise ConfigurationError(
                f"The {whose}'s variable url_env={url_env!r} is not set. Set {url_env} to the "
                "database's URL for every worker, or give url=."
            )
    if text is None:
        where, text = "The ledger's URL", default_url
    if is_postgres(text) or ("://" not in text and "=" in text):
        return sa.make_url(postgres_url(text, where=where)).set(drivername="postgresql+psycopg")
    try:
        address = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        # Not chained: the cause may quote the URL, and with it the password.
        raise ConfigurationError(
            f"{where} cannot be read: write dialect://user:password@host:port/name, "
            "with special characters in the password percent-encoded."
        ) from None
    return address


def shown(url: sa.URL) -> str:
    """The address for people, without the password and without options, which may hold a password."""
    return url.set(query={}).render_as_string()


def create_engine(url: sa.URL, *, application_name: str, whose: str, **options: Any) -> sa.Engine:
    """A new engine, which connects only when it is used. ``options`` are SQLAlchemy's, such as those of its pool.

    Raises ConfigurationError if SQLAlchemy does not know the dialect or its driver is not installed.
    """
    arguments: dict[str, Any] = {}
    if url.drivername == "postgresql+psycopg":
        # No prepared statements: they may switch to a generic plan, which does not see that the window is small.
        # UTF-8: a database without an encoding (SQL_ASCII) would return bytes for all texts.
        arguments = {"application_name": application_name, "prepare_threshold": None, "client_encoding": "utf8"}
        arguments |= {name: value for name, value in _KEEPALIVES.items() if name not in url.query}
    if url.get_backend_name() in ("postgresql", "mysql", "mariadb") and "connect_timeout" not in url.query:
        arguments["connect_timeout"] = CONNECT_TIMEOUT
    try:
        return sa.create_engine(url, connect_args=arguments, hide_parameters=True, **options)
    except (sa.exc.ArgumentError, ImportError, TypeError) as error:
        raise ConfigurationError(
            f"The {whose}'s database {shown(url)} cannot be used: {clause(error)}. "
            f"Install the driver of {url.drivername!r}, or name one, such as mysql+pymysql://."
        ) from error

"""The ledger's database for a command: a configured one, that of the stack, or the home's own PostgreSQL by itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import click

from batchord.core.errors import ConfigurationError
from batchord.output.masking import learn

from .terminal import foreign

P = ParamSpec("P")
T = TypeVar("T")


def is_configured() -> bool:
    """Whether a database is configured: then nothing is started."""
    from batchord.settings import given_settings

    from ..localstack.addresses import Server, unconfigured_servers

    return Server.POSTGRES not in unconfigured_servers(given_settings())


@contextmanager
def database(*, create: bool = True) -> Iterator[None]:
    """During the block, the ledger's database can be used. Check the command's arguments before.

    Where no database is configured and no stack runs, it starts the home's PostgreSQL, and says so on stderr. Call
    ``ledger()``, ``parts()`` and the like of :mod:`batchord.wiring` only inside of the block::

        catalog().get(name)  # report a wrong name at once
        with database():
            steps = preview(parts(), pipeline=name)

    ``create=False`` is for a command that only shows what is there: without data in the home, it raises
    ConfigurationError instead of creating empty tables. Raises ConfigurationError, too, if no database is configured
    and the embedded PostgreSQL is not installed or cannot run.
    """
    if is_configured():
        yield
        return
    from batchord.settings import settings

    from ..localstack.own_postgres import has_data, own_postgres

    home = settings().home.expanduser().absolute()
    if not create and not has_data(home):
        raise ConfigurationError(
            f"There are no runs here: no database is configured, and {home} has no data. Start a run with "
            "`batchord run NAME --local`, or call the command in the folder of your runs, or set BATCHORD_HOME or "
            "BATCHORD_DATABASE_URL."
        )
    with own_postgres(home) as seconds:
        settings.cache_clear()  # its address is in the home since now
        learn(())
        if seconds is not None:
            click.echo(f"PostgreSQL was started in {foreign(home)} ({seconds:.1f} s). It stops by itself.", err=True)
        yield


def require_ledger() -> None:
    """Raises at once if the ledger's database does not answer; a transaction would wait for it, as workers do."""
    from batchord.wiring import ledger

    ledger().check()


def shows_ledger(command: Callable[P, T]) -> Callable[P, T]:
    """A decorator for a command that shows what is in the ledger; see :func:`database` with ``create=False``.

    A ledger that does not answer ends the command at once.

    Write it below click's decorators, right above the function.
    """

    @wraps(command)
    def with_database(*args: P.args, **kwargs: P.kwargs) -> T:
        with database(create=False):
            require_ledger()
            return command(*args, **kwargs)

    return with_database

"""The home's PostgreSQL by itself, for a command where no database is configured and no stack runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchord.ledger.roles.preparing import is_prepared, prepare_database

from . import daemons, supervisor
from .addresses import Server
from .holders import LINGER_SECONDS, hold, start_guard
from .home import held, open_home
from .interrupts import interrupted_once
from .postgres import data_folder, require_programs
from .servers import start_in_turn, turn

#: Longer than the migrations of a large ledger take.
_PREPARE_SECONDS = 3600.0


@contextmanager
def own_postgres(home: Path, *, durable: bool = True, linger: float = LINGER_SECONDS) -> Iterator[float | None]:
    """During the block, the home's PostgreSQL runs, with its roles and the ledger's tables as after ``batchord up``.

    Yields the seconds that its start took; None if it ran already. Processes share one server. A guard stops it
    ``linger`` seconds after its last holder has ended, also one that was killed. If a stack runs in this home, this
    function starts nothing: ``batchord up`` keeps PostgreSQL, or its user configured another one.

    Raises ConfigurationError if PostgreSQL cannot run here, TransientError if it hangs.
    """
    require_programs()
    began = time.monotonic()
    home = open_home(home)
    with hold(home):
        with interrupted_once():
            is_new = _start(home, durable=durable, linger=linger)
        try:
            yield time.monotonic() - began if is_new else None
        finally:
            _guard_again(home, linger=linger)


def has_data(home: Path) -> bool:
    """Whether PostgreSQL has ever run in this home."""
    return data_folder(home).exists()


def _start(home: Path, *, durable: bool, linger: float) -> bool:
    """Starts what does not run, and returns whether it had to."""
    with turn(home):
        if _has_stack(home):
            return False
        is_new = daemons.find(home, Server.POSTGRES) is None
        servers = start_in_turn(home, needs=[Server.POSTGRES], durable=durable)
        start_guard(home, linger=linger)
    roles = servers.database_roles()
    # Two first commands at once: the second one waits for the tables that the first one makes.
    with held(home / "run" / "ledger.lock", timeout=_PREPARE_SECONDS):
        if not is_prepared(roles):
            prepare_database(roles)
    return is_new


def _guard_again(home: Path, *, linger: float) -> None:
    """Starts a guard if somebody has killed it during the block: otherwise the server would run for ever."""
    if not (home / "run").is_dir() or _has_stack(home):
        return
    with turn(home):
        if not _has_stack(home) and daemons.find(home, Server.POSTGRES) is not None:
            start_guard(home, linger=linger)


def _has_stack(home: Path) -> bool:
    return daemons.find(home, supervisor.NAME) is not None

"""Starts, finds and stops the embedded servers of one home folder."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from batchord.core.errors import ConfigurationError
from batchord.settings import SERVERS_FILE, given_settings

from . import daemons
from .addresses import (
    ALL_SERVERS,
    Server,
    Servers,
    addresses,
    embedded_servers,
    unconfigured_servers,
    write_addresses,
)
from .embedded import LOOPBACK, EmbeddedServer, ensure
from .holders import end_guard, forget_guard, keep_holders_out, start_guard
from .home import held, open_home, passwords
from .interrupts import interrupted_once
from .postgres import Postgres

T = TypeVar("T")

#: Longer than the slowest start, so that a second start waits for the first one to finish.
_TURN_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class ServerStatus:
    """The present status of one embedded server."""

    name: Server
    #: None if it is stopped.
    pid: int | None
    #: ``127.0.0.1:port`` without a password; None if it is stopped.
    address: str | None
    #: ``running``, ``not answering`` or ``stopped``.
    state: str


@contextmanager
def turn(home: Path) -> Iterator[None]:
    """Only one process at a time starts or stops servers of a home. Raises TransientError if another takes too long."""
    with held(home / "run" / "stack.lock", timeout=_TURN_SECONDS):
        yield


def start_servers(home: Path, *, needs: Collection[Server] = ALL_SERVERS, durable: bool = True) -> Servers:
    """Starts the servers of ``needs``, waits until they answer, and writes their addresses into ``home``.

    Servers of an earlier process that still run are used again. The servers continue when this process ends. Several
    starts of one home wait for each other. ``durable=False`` is for tests: data may be lost if the machine crashes.

    Raises ConfigurationError if a server cannot run here, TransientError if one hangs, KeyboardInterrupt for SIGINT or
    SIGTERM. In all these cases, the servers that this call started are stopped.
    """
    home = open_home(home)
    with interrupted_once(), turn(home):
        return start_in_turn(home, needs=needs, durable=durable)


def start_in_turn(home: Path, *, needs: Collection[Server], durable: bool) -> Servers:
    """Does what :func:`start_servers` does. The caller holds the home's turn."""
    secrets = passwords(home)
    embedded = embedded_servers(home, secrets, durable=durable)
    wanted = {name: server for name, server in embedded.items() if name in needs}
    not_running = [server for server in wanted.values() if daemons.find(home, server.name) is None]
    try:
        ports = _in_parallel(lambda server: ensure(home, server), wanted.values())
    except BaseException:  # also Ctrl-C: nobody would stop the servers that this call started
        _stop(home, not_running)
        raise
    started = dict(zip(wanted, ports, strict=True))
    # Servers that another process has started keep their addresses in the file: it may be about to read them.
    unconfigured = unconfigured_servers(given_settings())
    kept = {name: port for name, port in _ports_in_use(home).items() if name in unconfigured}
    write_addresses(home, addresses(home, secrets, kept | started))
    return addresses(home, secrets, started)


def stop_servers(home: Path) -> bool:
    """Stops the embedded servers of this home, each within half a minute. Their data stay.

    Returns False if PostgreSQL continues, because a process holds it: then a guard stops it after the last holder. It
    does nothing if no server runs. Raises TransientError if another start or stop holds the home's turn for too long.
    """
    home = home.expanduser().absolute()
    if not (home / "run").is_dir():
        return True
    with turn(home):
        end_guard(home)  # it tries the lock of the holders, too, and would look like one
        with keep_holders_out(home) as unheld:
            kept = not unheld and daemons.find(home, Server.POSTGRES) is not None
            stopping = [name for name in Server if not (kept and name is Server.POSTGRES)]
            _stop_named(home, stopping)
        if kept:
            start_guard(home)
        return not kept


def stop_unheld(home: Path) -> bool:
    """Stops PostgreSQL if nobody holds it, and returns whether it is stopped. For its guard."""
    with turn(home), keep_holders_out(home) as unheld:
        if unheld:
            _stop_named(home, [Server.POSTGRES])
            forget_guard(home)  # the next start must not take the guard, which is about to end, for its own
        return unheld


def _stop_named(home: Path, names: Collection[Server]) -> None:
    secrets = passwords(home)
    left = {name: port for name, port in _ports_in_use(home).items() if name not in names}
    # Change the file first, so that no program reads the address of a server that is about to stop.
    if left:
        write_addresses(home, addresses(home, secrets, left))
    else:
        (home / SERVERS_FILE).unlink(missing_ok=True)
    embedded = embedded_servers(home, secrets, durable=True)
    _stop(home, [embedded[name] for name in names])


def superuser_url(home: Path) -> str:
    """PostgreSQL's address for its superuser. It is for the person who looks after this home, not for processes.

    Raises ConfigurationError if PostgreSQL does not run.
    """
    home = home.expanduser().absolute()
    daemon = daemons.find(home, Server.POSTGRES)
    if daemon is None:
        raise ConfigurationError(f"No PostgreSQL runs in {home}: start it with `batchord up`.")
    return Postgres(home=home, password=passwords(home).postgres).url(daemon.port)


def server_status(home: Path) -> list[ServerStatus]:
    """The status of each embedded server of this home. It changes nothing."""
    home = home.expanduser().absolute()
    running = {name: daemons.find(home, name) for name in Server}
    if not any(running.values()):
        return [ServerStatus(name=name, pid=None, address=None, state="stopped") for name in Server]
    embedded = embedded_servers(home, passwords(home), durable=True)
    return [_status(name, embedded[name], daemon) for name, daemon in running.items()]


def _ports_in_use(home: Path) -> dict[Server, int]:
    found = {name: daemons.find(home, name) for name in Server}
    return {name: daemon.port for name, daemon in found.items() if daemon is not None}


def _stop(home: Path, servers: Collection[EmbeddedServer]) -> None:
    def stop(server: EmbeddedServer) -> None:
        daemon = daemons.find(home, server.name)
        if daemon is not None:
            daemons.stop(daemon, server.stop_signals)

    _in_parallel(stop, servers)


def _in_parallel(action: Callable[[EmbeddedServer], T], servers: Collection[EmbeddedServer]) -> list[T]:
    # The end of the block waits for all threads, also after an error, so that none continues unnoticed.
    with ThreadPoolExecutor(max_workers=len(ALL_SERVERS), thread_name_prefix="batchord-servers") as threads:
        return list(threads.map(action, servers))


def _status(name: Server, server: EmbeddedServer, daemon: daemons.Daemon | None) -> ServerStatus:
    if daemon is None:
        return ServerStatus(name=name, pid=None, address=None, state="stopped")
    state = "running" if server.answers(daemon.port) else "not answering"
    return ServerStatus(name=name, pid=daemon.pid, address=f"{LOOPBACK}:{daemon.port}", state=state)

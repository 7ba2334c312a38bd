"""The supervisor as a program of its own: one terminal starts it, another one can ask it for its status or stop it.

``python -m batchord.app.localstack --home HOME`` is what :func:`coming_supervisor` runs. It reads what to run from its
standard input.
"""

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from batchord.core.errors import BatchordError, ConfigurationError
from batchord.output.last_words import MaskedFormatter, mask_last_words
from batchord.output.masking import mask

from . import daemons
from .addresses import Server
from .fork_server import ForkServer
from .home import held
from .processes import ProcessSpec, ProcessState, ProcessStatus
from .rotation import LogRotation
from .servers import stop_servers
from .supervisor import NAME, STATUS_FILE, run
from .titles import set_title

#: Longer than all servers need to stop one after the other. The processes stop before, each within its own time.
STOP_SECONDS = 60.0
#: How long to wait for the lock of a supervisor that was killed: its guard holds the lock until it has cleaned up.
CLEANING_SECONDS = 20.0


def refuse_second(home: Path) -> None:
    """Raises ConfigurationError if a supervisor already runs in this home."""
    running = daemons.find(home, NAME)
    if running is not None:
        raise ConfigurationError(
            f"The local stack in {home} is already running (supervisor pid {running.pid}). Stop it with "
            "`batchord down`. For a second stack, set BATCHORD_HOME to another folder."
        )


def lost_supervisor(home: Path) -> int | None:
    """The pid of this home's supervisor if it has ended without stopping its stack; None otherwise.

    It was killed, or the machine restarted. Its note is left. The next `up` or `down` ends this state.
    """
    noted = daemons.recall(home.expanduser().absolute(), NAME)
    return None if noted is None or daemons.alive(noted) else noted.pid


def stop_background(home: Path) -> bool:
    """Stops the supervisor of this home with all its processes, and servers without a supervisor.

    PostgreSQL continues while another process holds it. Returns whether anything was stopped. Raises TransientError
    if a process cannot be ended.
    """
    home = home.expanduser().absolute()
    if not (home / "run").is_dir():
        return False
    supervisor = daemons.find(home, NAME)
    before = _running(home)
    if supervisor is not None:
        daemons.stop(supervisor, ((signal.SIGTERM, STOP_SECONDS + status_file(home).get("patience", 0.0)),))
    with held(daemons.lock_path(home, NAME), timeout=CLEANING_SECONDS):
        stop_servers(home)
        daemons.forget(home, NAME)
    return supervisor is not None or before != _running(home)


def _running(home: Path) -> set[Server]:
    return {server for server in Server if daemons.find(home, server) is not None}


def background_status(home: Path) -> list[ProcessStatus]:
    """The processes of this home's supervisor. Any program may ask; without a supervisor, all of them are stopped."""
    home = home.expanduser().absolute()
    supervisor = daemons.find(home, NAME)
    file = status_file(home)
    runs = supervisor is not None and file.get("supervisor") == supervisor.pid
    return [_status(values, runs=runs) for values in file.get("processes", [])]


def _status(values: dict[str, Any], *, runs: bool) -> ProcessStatus:
    state = ProcessState(values["state"]) if runs else ProcessState.STOPPED
    running = state is ProcessState.RUNNING
    return ProcessStatus(
        name=values["name"],
        pid=values["pid"] if running else None,
        state=state,
        restarts=values["restarts"],
        uptime=max(0.0, time.time() - values["started"]) if running else 0.0,
    )


def status_file(home: Path) -> dict[str, Any]:
    """The contents of the supervisor's status file; empty if it cannot be read."""
    try:
        contents = json.loads((home / STATUS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return contents if isinstance(contents, dict) else {}


def main(arguments: Sequence[str] | None = None) -> int:
    """Supervise in the foreground until SIGTERM or Ctrl-C. Exits with 0 after an orderly stop, 1 if it cannot start.

    Standard input holds JSON with the servers and the processes.
    """
    parser = argparse.ArgumentParser(prog="batchord-supervisor", description=main.__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder with the stack's data and logs")
    parser.add_argument("room", nargs="?", help="ignored: room for titles in `ps`")
    options = parser.parse_args(arguments)
    set_title(options.home, f"supervisor of {options.home}")
    # Before everything that its forks must not inherit: a thread, a connection, a way of logging.
    fork_server = ForkServer()
    fork_server.import_modules()
    text = sys.stdin.read()  # waits: who started this program prepares the servers meanwhile
    if not text:
        return 1  # who started this program gave up, or was killed
    with open(os.devnull) as nothing:  # noqa: PTH123 -- for its descriptor
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    spec = json.loads(text)
    os.chdir(spec["folder"])
    fork_server.split_off()
    mask_last_words()
    handler = logging.StreamHandler()
    handler.setFormatter(MaskedFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    specs = [ProcessSpec(**{**values, "command": tuple(values["command"])}) for values in spec["processes"]]
    try:
        run(
            options.home,
            specs,
            [Server(name) for name in spec["servers"]],
            rotation=LogRotation(**spec["rotation"]),
            fork_server=fork_server,
        )
    except BatchordError as error:
        print(mask(str(error)), file=sys.stderr)  # noqa: T201 -- this is the program's output
        return 1
    except KeyboardInterrupt:  # told to stop while still starting; everything is stopped again
        return 1
    return 0

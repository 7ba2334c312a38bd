"""The home's PostgreSQL for a program that is not one of Batchord's commands, such as a notebook.

A process beside it starts and holds the server, because this package knows nothing of the local stack.
"""

import atexit
import contextlib
import json
import subprocess
import sys
import threading
from pathlib import Path

from batchord.core import errors
from batchord.core.errors import BatchordError, ConfigurationError
from batchord.output.masking import learn
from batchord.settings import given_settings, settings

_PROGRAM = "batchord.app.localstack.holder"
_END_SECONDS = 10.0
_lock = threading.Lock()
#: The process that holds the server for this one, by home.
_holders: dict[Path, "subprocess.Popen[str]"] = {}


def hold_local_database() -> float | None:
    """Makes the ledger's database usable until this process ends, whichever way it ends.

    It does nothing if a database is configured. Otherwise it starts the home's PostgreSQL, unless it runs, as the
    commands do. Returns the seconds that the start took; None if nothing was started. Call it before
    :mod:`batchord.wiring`'s ``ledger()`` and ``parts()``; repeating it is safe.

    Raises ConfigurationError or TransientError if PostgreSQL cannot run here.
    """
    if "database_url" in given_settings():
        return None
    home = settings().home.expanduser().absolute()
    with _lock:
        earlier = _holders.get(home)
        if earlier is not None and earlier.poll() is None:
            return None
        seconds = _start(home)
    settings.cache_clear()  # the server's address is in the home since now
    learn(())
    return seconds


def _start(home: Path) -> float | None:
    process = subprocess.Popen(  # noqa: S603 -- our own program
        [sys.executable, "-P", "-m", _PROGRAM, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C in a notebook interrupts a cell; the server stays.
        start_new_session=True,
    )
    _holders[home] = process
    atexit.register(_end, process)
    assert process.stdout is not None  # noqa: S101 -- it was started with a pipe
    line = process.stdout.readline()
    try:
        message = json.loads(line)
    except ValueError:
        raise ConfigurationError(
            f"The process that starts PostgreSQL in {home} ended with exit code {process.wait()}. Its output is above."
        ) from None
    if "error" in message:
        kind = getattr(errors, message["kind"], BatchordError)
        raise kind(message["error"])
    seconds: float | None = message["seconds"]
    return seconds


def _end(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None  # noqa: S101 -- as above
    assert process.stdout is not None  # noqa: S101 -- as above
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.stdout.close()
    try:
        process.wait(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

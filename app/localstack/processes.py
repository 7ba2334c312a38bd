"""Supervises one long-running command: starts it, starts it again when it ends, stops it."""

import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause

from .daemons import log_path
from .fork_server import ForkedProcess, ForkServer
from .guard import MARK_VARIABLE, Guard

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """A command to keep running. Its output is appended to ``logs/NAME.log`` in the home."""

    name: str
    command: tuple[str, ...]
    #: Added to the supervisor's own environment.
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold passwords
    #: How many seconds the process has to end by itself after SIGTERM.
    patience: float = 15.0


class ProcessState(StrEnum):
    """The state of a supervised process."""

    RUNNING = "running"
    #: The process ended by itself and will be started again after a pause.
    WAITING = "waiting"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class ProcessStatus:
    """The present status of one supervised process."""

    name: str
    pid: int | None
    state: ProcessState
    #: How often it was started again.
    restarts: int
    #: Seconds since it was last started; 0 if it does not run.
    uptime: float


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """The pause, in seconds, before a process is started again. It doubles each time the process ends."""

    first: float = 0.5
    ceiling: float = 10.0
    #: A process that has run this long counts as healthy: its next pause is ``first`` again.
    calm: float = 30.0

    def pause(self, failures: int) -> float:
        """How long to wait after the process has ended ``failures`` times in a row."""
        # The exponent is capped because a process may fail for weeks.
        return min(self.ceiling, self.first * 2.0 ** min(failures - 1, 30))


class SupervisedProcess:
    """A process under supervision. It is not thread-safe: the supervisor holds its lock around every call."""

    def __init__(
        self, spec: ProcessSpec, home: Path, guard: Guard, backoff: Backoff, fork_server: ForkServer | None = None
    ) -> None:
        self.spec = spec
        self._home = home
        self._guard = guard
        self._backoff = backoff
        self._fork_server = fork_server
        self._process: subprocess.Popen[bytes] | ForkedProcess | None = None
        self._started = 0.0
        self._starts = 0
        self._failures = 0
        self._due: float | None = None

    def start(self) -> None:
        """Start the command in a process group of its own. Raises ConfigurationError when it cannot be run."""
        self._process = self._forked() or self._launched()
        self._guard.watch(self._process.pid)
        self._started = time.monotonic()
        self._starts += 1
        self._due = None

    def _forked(self) -> ForkedProcess | None:
        if self._fork_server is None:
            return None
        log = str(log_path(self._home, self.spec.name))
        return self._fork_server.fork(self.spec.command, environment=self._environment(), log=log)

    def _launched(self) -> "subprocess.Popen[bytes]":
        log = os.open(log_path(self._home, self.spec.name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(  # noqa: S603 -- commands come from Batchord, not from outside
                self.spec.command,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigurationError(
                f"The process {self.spec.name} cannot be started: {clause(error)}. Check that the command "
                f"{self.spec.command[0]} exists and that Batchord is installed completely."
            ) from error
        finally:
            os.close(log)

    def _environment(self) -> dict[str, str]:
        return os.environ | self.spec.env | {MARK_VARIABLE: self._guard.mark}

    def tend(self) -> bool:
        """Starts the process again if it has ended and the pause is over. Returns True if anything changed."""
        if self._process is not None and self._process.poll() is not None:
            self._clean_up(self._process)
            return True
        if self._due is None or time.monotonic() < self._due:
            return False
        try:
            self.start()
        except ConfigurationError:
            _log.exception("The process %s could not be started again", self.spec.name)
            self._pause()
        return True

    def _clean_up(self, process: subprocess.Popen[bytes] | ForkedProcess) -> None:
        # The pool of a worker that was killed would go on, without anybody to give it work or to stop it.
        _kill_group(process.pid)
        self._guard.forget(process.pid)
        self._process = None
        if time.monotonic() - self._started >= self._backoff.calm:
            self._failures = 0
        self._pause()
        _log.warning(
            "%s (pid %d) ended with %s. It is started again in %.1f s. Its output is in %s",
            self.spec.name,
            process.pid,
            _reason(process),
            self._backoff.pause(self._failures),
            log_path(self._home, self.spec.name),
        )

    def _pause(self) -> None:
        self._failures += 1
        self._due = time.monotonic() + self._backoff.pause(self._failures)

    def send(self, number: signal.Signals) -> bool:
        """Sends a signal to the process itself, not to its children. Returns False if it does not run."""
        if self._process is None or self._process.poll() is not None:
            return False
        self._process.send_signal(number)
        return True

    def stop(self, *, patience: float, in_a_hurry: Callable[[], bool]) -> None:
        """Sends SIGTERM, and SIGKILL to the whole group after ``patience`` seconds or once ``in_a_hurry()`` is True.

        Only the process itself gets SIGTERM: a Celery worker tells its pool what it needs to know.
        """
        self._due = None
        process = self._process
        if process is None:
            return
        deadline = time.monotonic() + patience
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        while process.poll() is None and time.monotonic() < deadline and not in_a_hurry():
            time.sleep(_POLL_SECONDS)
        _kill_group(process.pid)
        process.wait()
        self._guard.forget(process.pid)
        self._process = None

    def status(self) -> ProcessStatus:
        """The present status of the process."""
        running = self._process is not None and self._process.returncode is None
        waiting = ProcessState.STOPPED if self._due is None else ProcessState.WAITING
        return ProcessStatus(
            name=self.spec.name,
            pid=self._process.pid if running and self._process is not None else None,
            state=ProcessState.RUNNING if running else waiting,
            restarts=max(0, self._starts - 1),
            uptime=time.monotonic() - self._started if running else 0.0,
        )


def _kill_group(group: int) -> None:
    # macOS answers "not permitted" for a group in which all processes are zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _reason(process: subprocess.Popen[bytes] | ForkedProcess) -> str:
    code = process.wait()
    if isinstance(process, ForkedProcess) and process.is_unseen:
        return "an exit code that nobody saw, since the process that had forked it ended before"
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"

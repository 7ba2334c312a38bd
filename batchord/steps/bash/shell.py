"""Runs a command in bash. None of its processes outlives the call."""

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from batchord.core.errors import BatchordError, CommandFailed, ConfigurationError, LeaseLost, OutOfTime, TransientError
from batchord.core.process.loading import LOADING_VARIABLE
from batchord.core.text.error_text import clause
from batchord.output.own_secrets import is_own_secret
from batchord.processes.endings import GRACE_SECONDS, end_processes
from batchord.steps.bash.guard import MARK_VARIABLE, CommandGuard
from batchord.steps.bash.output import Lines, Streams

#: Seconds between two checks for a lost lease.
_POLL_SECONDS = 0.2
#: Signals that Celery's pool processes may ignore.
_MAY_BE_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
#: Errors that mean that the machine lacks room at the moment.
_PASSING = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
#: If a signal ended a command, bash's exit code is this number plus the signal's number.
_BY_SIGNAL = 128


def run_command(
    command: str,
    *,
    env: Mapping[str, str],
    cwd: str | None,
    time_limit: float | None,
    stop: threading.Event,
    on_line: Callable[[str, str], None],
    grace: float = GRACE_SECONDS,
) -> str:
    """Runs ``bash -c command`` and returns the last line of its standard output; empty if there was none.

    The command has a process group of its own. The whole group ends when the command ends, at the time limit (seconds),
    when ``stop`` is set, and when this process ends, however it ends. ``env`` is added to this process's environment,
    from which Batchord's own secrets are removed. ``on_line`` is called in this thread, for one line at a time, with
    ``stdout`` or ``stderr`` and the line. An exception of it ends the command and is raised here. Lines hold no NUL; a
    line of more than 64 KiB comes in pieces. ``grace``: seconds between SIGTERM and SIGKILL.

    Raises CommandFailed for an exit code other than 0, OutOfTime, LeaseLost if it was stopped, ConfigurationError if it
    cannot be started, and TransientError if the machine has no room for it now.
    """
    deadline = None if time_limit is None else time.monotonic() + time_limit
    with _started(command, env, cwd) as (process, mark):
        assert process.stdout is not None  # noqa: S101 -- opened in _started
        assert process.stderr is not None  # noqa: S101 -- as above
        streams = Streams(process.stdout, process.stderr, on_line)
        try:
            ended = _ended(process, streams)
            early: BatchordError | None = None
            while not ended.is_set() and early is None:
                streams.read(_POLL_SECONDS if deadline is None else min(_POLL_SECONDS, deadline - time.monotonic()))
                if stop.is_set():
                    early = LeaseLost("Batchord ended the command: another worker holds the step's lease now.")
                elif deadline is not None and time.monotonic() >= deadline:
                    early = _out_of_time(time_limit, streams.err)
            # End processes that the command left behind: they hold the pipes and must not continue without a run.
            end_processes([process.pid], mark, grace=grace, pause=streams.read)
            ended.wait(_POLL_SECONDS)
            streams.finish()
        finally:
            streams.close()
    if early is not None:
        raise early
    if process.returncode != 0:
        raise _failed(process.returncode, streams.err)
    return streams.out.last


@contextmanager
def _started(
    command: str, env: Mapping[str, str], cwd: str | None
) -> Iterator[tuple["subprocess.Popen[bytes]", tuple[str, str]]]:
    """The running command, and the mark of its processes. If the block raises, the guard ends what is left."""
    if cwd is not None and not os.path.isdir(cwd):  # noqa: PTH112 -- cwd is a text
        raise ConfigurationError(
            f"The command's cwd={cwd!r} is not a folder on this worker: create it, or correct cwd=."
        )
    with _translated():
        guard = CommandGuard()
    try:
        mark = (MARK_VARIABLE, guard.mark)
        with _translated(), _heeding_signals():
            process = subprocess.Popen(  # noqa: S603 -- the pipeline's author wrote the command
                ["bash", "-c", command],  # noqa: S607 -- from the PATH: /bin/bash is old on some systems
                # Not os.environ: it may have the mark of a file that another thread is loading now.
                env={**_inherited(), **env, MARK_VARIABLE: guard.mark},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        guard.watch(process.pid)
        try:
            yield process, mark
        finally:
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
    except BaseException:
        # on_line failed, or a signal ends this worker: tell the guard now, before Python has cleaned up.
        guard.close()
        raise
    guard.dismiss()


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != LOADING_VARIABLE and not is_own_secret(name)}


@contextmanager
def _heeding_signals() -> Iterator[None]:
    """Programs that are started in the block ignore no signal that would end them.

    A program inherits ignored signals from its parent, and bash cannot even trap them. So a command that wants to clean
    up would be killed after the grace without a warning. Handlers are not inherited. ``preexec_fn`` was rejected: it
    may block for ever in a process with threads.
    """
    if threading.current_thread() is not threading.main_thread():  # other threads cannot set handlers in Python
        yield
        return
    ignored = [number for number in _MAY_BE_IGNORED if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, _bear)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def _bear(*_: object) -> None:
    pass


def _ended(process: "subprocess.Popen[bytes]", streams: Streams) -> threading.Event:
    """An event that is set when bash has ended. The end also wakes the reader of the streams.

    A thread waits for it, because ``Popen.wait`` with a timeout checks only every 50 ms.
    """
    ended = threading.Event()
    to_read, to_write = os.pipe()
    streams.wake_at(to_read)

    def wait() -> None:
        process.wait()
        ended.set()
        os.close(to_write)

    threading.Thread(target=wait, name=f"bash-{process.pid}", daemon=True).start()
    return ended


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"The command cannot be started: {error.filename!r} was not found. Install bash where the workers run, "
            f"and check that it is on their PATH (PATH={os.environ.get('PATH', '')!r})."
        ) from error
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _PASSING:
            raise TransientError(f"The machine cannot start another process now: {error}") from error
        advice = "correct its command, env= and cwd="
        if isinstance(error, OSError) and error.errno == errno.E2BIG:
            advice = "a command and each variable may have at most 128 KiB; put longer text into a file"
        raise ConfigurationError(f"The command cannot be started: {clause(error)}. Next step: {advice}.") from error


def _out_of_time(limit: float | None, err: Lines) -> OutOfTime:
    return OutOfTime(
        f"The command took longer than its time limit of {limit:g} s, and Batchord ended it: make it faster, or give "
        f"the step a longer time_limit=. {_last_lines(err)}"
    )


def _failed(code: int, err: Lines) -> CommandFailed:
    if code < 0:
        how = f"was ended by {_signal(-code)}"
    elif code > _BY_SIGNAL and (name := _signal(code - _BY_SIGNAL)):
        how = f"ended with exit code {code}: {name} ended a part of it"
    else:
        how = f"ended with exit code {code}"
    if code in (-signal.SIGKILL, _BY_SIGNAL + signal.SIGKILL):
        how += " (perhaps because the machine ran out of memory)"
    return CommandFailed(f"The command {how}. {_last_lines(err)}", exit_code=code)


def _last_lines(err: Lines) -> str:
    return f"Its last lines on stderr:\n{err.tail}" if err.tail else "It wrote nothing to stderr."


def _signal(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return ""

"""Lets an author's code start processes within a task. They work as anywhere else, and they end with the task.

``multiprocessing``, ``concurrent.futures``, joblib and torch's data loaders start processes. By default, a child of
Celery's pool may not start any. It would also pass on the signals that it ignores, and would leave processes behind
when it is killed.

Here each child leads a process group of its own. When a task ends, its remaining processes are ended and the child is
replaced: objects that the author's code keeps for the next call, such as a pool in a global variable, would not work
any more. If the child itself is killed, a guard ends the group. The guard is a shell at the other end of a pipe, which
closes however the child ends.
"""

import contextlib
import ctypes
import logging
import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
from multiprocessing.process import AuthenticationString  # type: ignore[attr-defined]  # typeshed lacks it
from typing import Any

import psutil
from celery import signals

from batchord.processes import endings

from .replacing import spend

log = logging.getLogger(__name__)

#: The time between SIGTERM and SIGKILL for processes that a task left behind.
_GRACE_SECONDS = 1.0
#: From linux/prctl.h: processes whose parent has ended become children of this process instead of process 1.
_PR_SET_CHILD_SUBREAPER = 36
#: The guard's shell. It runs in the background, so that it is not this process's child. It waits for the end of the
#: pipe, or for the word "done".
_WAIT = """
exec 3<&0
(
    trap '' INT TERM HUP QUIT
    read -r word <&3
    [ "$word" = done ] || exec "$@"
) >/dev/null 2>&1 &
"""
#: Signals that end an ordinary process, which is not a child of Celery's pool.
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)


class _Child:
    """The state of this process, if it is a child of the pool."""

    #: This end of the guard's pipe; None in any other process.
    guard: int | None = None


_child = _Child()


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def allow_inner_processes(**_: Any) -> None:
    """Prepares each child of the pool before its first task."""
    _allow_multiprocessing()
    os.setpgid(0, 0)
    _child.guard = _start_guard()
    with contextlib.suppress(OSError, AttributeError):  # not Linux: processes of a task's processes are not found
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.register_at_fork(after_in_child=_become_ordinary)


@signals.task_prerun.connect  # type: ignore[untyped-decorator]
def hand_on_no_ignored_signal(**_: Any) -> None:
    """Gives SIGTERM an empty handler: a started program would also ignore a signal that this process ignores."""
    if _in_pool_child() and signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        signal.signal(signal.SIGTERM, _do_nothing)


@signals.task_postrun.connect  # type: ignore[untyped-decorator]
def end_inner_processes(**_: Any) -> None:
    """Ends the processes that the task left behind. If there were any, this process is replaced."""
    if not _in_pool_child():
        return
    if processes := _descendants():
        spend()
        log.info(
            "The task left these processes behind, and the worker ends them: %s",
            ", ".join(str(process.pid) for process in processes),
        )
        _end(processes)
    _reap()


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def dismiss_guard(**_: Any) -> None:
    """Ends the guard at the ordinary end of a child, after ending the child's processes."""
    if _in_pool_child():
        _end(_descendants())
        with contextlib.suppress(OSError):
            os.write(_child.guard or -1, b"done\n")


def _in_pool_child() -> bool:
    """Whether this process is a child of a prefork pool with a guard, and not a control worker with threads."""
    return _child.guard is not None


def _allow_multiprocessing() -> None:
    """Lets multiprocessing start processes here. It reads this process's settings, which Celery's own library made."""
    settings = multiprocessing.current_process()._config  # type: ignore[attr-defined]  # noqa: SLF001 -- no other way
    # A daemon may not have children. The pool's parent ends its own children anyway, daemons or not.
    settings["daemon"] = False
    # A key of multiprocessing's own class: that of Celery's library refuses to be pickled for a spawned process.
    settings["authkey"] = AuthenticationString(bytes(settings["authkey"]))


def _start_guard() -> int | None:
    """Starts the guard and returns this end of its pipe."""
    mark = secrets.token_hex(8)
    reader, writer = os.pipe()
    command = [sys.executable, "-P", endings.__file__, endings.CHILD_MARK, mark, str(os.getpid())]
    try:
        subprocess.run(  # noqa: S603 -- our own file
            ["/bin/sh", "-c", _WAIT, "guard", *command], stdin=reader, cwd="/", start_new_session=True, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("Without a guard, processes within tasks may outlive a child that is killed: %s", error)
    finally:
        os.close(reader)
    os.environ[endings.CHILD_MARK] = mark
    return writer


def _become_ordinary() -> None:
    """Makes a process that a task has forked an ordinary one: signals end it, and it does not hold the guard's pipe."""
    if _child.guard is not None:
        os.close(_child.guard)
        _child.guard = None
    for number in _ENDING_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _do_nothing(*_: object) -> None:
    pass


def _descendants() -> list[psutil.Process]:
    """The running descendants of this process. If it has no children, as after most tasks, it costs one system call."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    running = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                running.append(process)
    return running


def _reap() -> None:
    """Collects orphans that have ended, such as those of a killed command: this process has become their parent."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=_GRACE_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=_GRACE_SECONDS)

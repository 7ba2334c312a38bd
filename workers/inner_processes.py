"""Processes that an author's code starts within a task: they work as anywhere else, and end with the task.

``multiprocessing``, ``concurrent.futures``, joblib and torch's data loaders start processes. A child of Celery's pool
must not have any by default, would hand on the signals that it ignores, and would leave them behind when it is killed.
Here each child leads a process group of its own. What is left when a task ends is ended, and the child is replaced:
what the author's code keeps for the next call (a pool in a global variable) is of no use any more. When the child
itself is killed, a guard ends the group: a shell at the other end of a pipe, which closes however the child ends.
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

#: Between SIGTERM and SIGKILL for what a task left behind.
_GRACE_SECONDS = 1.0
#: From linux/prctl.h: processes whose parent ended become this one's children instead of those of process 1.
_PR_SET_CHILD_SUBREAPER = 36
#: In the background, so that the shell is nobody's child: it waits for the end of the pipe, or for the word "done".
_WAIT = """
exec 3<&0
(
    trap '' INT TERM HUP QUIT
    read -r said <&3
    [ "$said" = done ] || exec "$@"
) >/dev/null 2>&1 &
"""
#: What a process that is no child of Celery's pool does at these signals: it ends.
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)


class _Child:
    """This process, while it is a child of the pool."""

    #: The pipe's end; None where no guard could be started, and in other processes.
    guard: int | None = None


_child = _Child()


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def allow_inner_processes(**_: Any) -> None:
    """In each child of the pool, before its first task."""
    _be_a_parent()
    os.setpgid(0, 0)
    _child.guard = _guarded()
    with contextlib.suppress(OSError, AttributeError):  # no Linux: what a task's processes started is not found
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.register_at_fork(after_in_child=_be_any_process)


@signals.task_prerun.connect  # type: ignore[untyped-decorator]
def hand_on_no_ignored_signal(**_: Any) -> None:
    """What is ignored stays ignored in a program that is started; what has a handler does not."""
    if _in_pool_child() and signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        signal.signal(signal.SIGTERM, _bear)


@signals.task_postrun.connect  # type: ignore[untyped-decorator]
def end_inner_processes(**_: Any) -> None:
    """Ends what the task left behind; then this process is replaced."""
    if not _in_pool_child():
        return
    if left := _left():
        spend()
        log.info(
            "The task left these processes behind, and the worker ends them: %s",
            ", ".join(str(each.pid) for each in left),
        )
        _end(left)
    _reap()


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def dismiss_guard(**_: Any) -> None:
    """At the ordinary end of a child, of which nothing is left."""
    if _in_pool_child():
        _end(_left())
        with contextlib.suppress(OSError):
            os.write(_child.guard or -1, b"done\n")


def _in_pool_child() -> bool:
    """Whether this is a child of a prefork pool, with a guard; not a control worker's thread."""
    return _child.guard is not None


def _be_a_parent() -> None:
    """Lets multiprocessing start processes here: Celery's own library is asked for this process's settings by it."""
    settings = multiprocessing.current_process()._config  # type: ignore[attr-defined]  # noqa: SLF001 -- no other way
    # The pool's parent ends its children itself, whatever they are called; a daemon may have none.
    settings["daemon"] = False
    # Of the library that is to hand it on: another's refuses to be pickled for a process that is spawned.
    settings["authkey"] = AuthenticationString(bytes(settings["authkey"]))


def _guarded() -> int | None:
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


def _be_any_process() -> None:
    """In a process that was forked by a task: signals end it, and it neither holds the guard's pipe nor is a child."""
    if _child.guard is not None:
        os.close(_child.guard)
        _child.guard = None
    for number in _ENDING_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _bear(*_: object) -> None:
    pass


def _left() -> list[psutil.Process]:
    """What still runs below this process. Costs a system call where there is nothing, as after most tasks."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    left = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    return left


def _reap() -> None:
    """Takes note that orphans have ended, also those of a command that was killed: this process became their parent."""
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

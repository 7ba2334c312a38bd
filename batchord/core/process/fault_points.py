"""Named places at which a test can inject a fault. They do nothing unless the environment names them.

``BATCHORD_FAULTS="after-plan-commit=kill@1;before-batch-commit=raise@3"`` kills this process at the first pass of the
first place and raises TransientError at the third pass of the second. With ``BATCHORD_FAULTS_DIR``, all processes
count their passes together in that folder, so that the fault does not fire again in the next process. When a fault
fires, it creates an empty file ``<name>.fired`` there, whose time is the moment.

A simulation, which runs many processes in one, decides by itself at each passage: see :func:`decide_with`.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from batchord.core.errors import TransientError

_ACTIONS = ("kill", "kill-parent", "stop", "raise", "delay")
_DELAY_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class _Fault:
    action: str
    hit: int


def _parsed(text: str) -> dict[str, _Fault]:
    faults = {}
    for part in filter(None, text.split(";")):
        name, _, what = part.partition("=")
        action, _, hit = what.partition("@")
        if action not in _ACTIONS:
            raise ValueError(
                f"BATCHORD_FAULTS names the unknown action {action!r}. The actions are {', '.join(_ACTIONS)}."
            )
        faults[name] = _Fault(action=action, hit=int(hit or 1))
    return faults


_FAULTS: dict[str, _Fault] = {}
_FOLDER: Path | None = None
_PASSES: dict[str, int] = {}
#: What a simulation wants to be called with the name of each place that is passed.
_decide: Callable[[str], None] | None = None


def read_environment() -> None:
    """Reads which faults this process is to have; once when it is imported, and again where the environment changed."""
    global _FAULTS, _FOLDER  # noqa: PLW0603 -- of the process, as the environment is
    _FAULTS = _parsed(os.environ.get("BATCHORD_FAULTS", ""))
    _FOLDER = Path(os.environ["BATCHORD_FAULTS_DIR"]) if "BATCHORD_FAULTS_DIR" in os.environ else None


read_environment()


def decide_with(decide: Callable[[str], None] | None) -> None:
    """Calls ``decide`` with the name of each place that is passed from now on; None: no longer."""
    global _decide  # noqa: PLW0603 -- of the process, as the environment is
    _decide = decide


def fault(name: str) -> None:
    """Does nothing, unless a test wants a fault here."""
    if _decide is not None:
        _decide(name)
    if _FAULTS and name in _FAULTS:
        _pass(name, _FAULTS[name])


def _pass(name: str, wanted: _Fault) -> None:
    if _count(name) != wanted.hit:
        return
    if _FOLDER is not None:
        (_FOLDER / f"{name}.fired").touch()
    match wanted.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill-parent":
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "raise":
            raise TransientError(f"fault {name}")
        case "delay":
            time.sleep(_DELAY_SECONDS)


def _count(name: str) -> int:
    """The number of this pass, from 1."""
    if _FOLDER is None:
        _PASSES[name] = _PASSES.get(name, 0) + 1
        return _PASSES[name]
    # O_APPEND makes each write of one byte atomic. The file's size is the count.
    with (_FOLDER / name).open("ab") as file:
        file.write(b".")
        file.flush()
        return file.tell()

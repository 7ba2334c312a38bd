"""Named places where a test makes things go wrong; inert unless the environment names them.

``BATCHORD_FAULTS="after-plan-commit=kill@1;before-batch-commit=raise@3"`` kills this process at the first
pass of the one place and raises TransientError at the third pass of the other. With ``BATCHORD_FAULTS_DIR``
passes are counted in that folder, over all processes, so that what was killed once is not killed again; the
moment at which a fault fired is the time of an empty file there, ``<name>.fired``.
"""

import os
import signal
import time
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
    found = {}
    for part in filter(None, text.split(";")):
        name, _, what = part.partition("=")
        action, _, hit = what.partition("@")
        if action not in _ACTIONS:
            raise ValueError(
                f"BATCHORD_FAULTS names the unknown action {action!r}. The actions are {', '.join(_ACTIONS)}."
            )
        found[name] = _Fault(action=action, hit=int(hit or 1))
    return found


_FAULTS: dict[str, _Fault] = {}
_FOLDER: Path | None = None
_PASSES: dict[str, int] = {}


def read_environment() -> None:
    """Reads which faults this process is to have; once when it is imported, and again where the environment changed."""
    global _FAULTS, _FOLDER  # noqa: PLW0603 -- of the process, as the environment is
    _FAULTS = _parsed(os.environ.get("BATCHORD_FAULTS", ""))
    _FOLDER = Path(os.environ["BATCHORD_FAULTS_DIR"]) if "BATCHORD_FAULTS_DIR" in os.environ else None


read_environment()


def fault(name: str) -> None:
    """Does nothing, unless a test asked for a fault here."""
    if _FAULTS and name in _FAULTS:
        _pass(name, _FAULTS[name])


def _pass(name: str, asked: _Fault) -> None:
    if _count(name) != asked.hit:
        return
    if _FOLDER is not None:
        (_FOLDER / f"{name}.fired").touch()
    match asked.action:
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
    """Which pass this is, counted from 1."""
    if _FOLDER is None:
        _PASSES[name] = _PASSES.get(name, 0) + 1
        return _PASSES[name]
    # O_APPEND makes each write of one byte atomic; the file's size is the count.
    with (_FOLDER / name).open("ab") as file:
        file.write(b".")
        file.flush()
        return file.tell()

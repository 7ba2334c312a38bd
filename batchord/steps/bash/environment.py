"""What a command is told of its run."""

import fcntl
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from batchord.core.calendar.schedules import open_start
from batchord.core.declared.context import RunContext


def environment(context: RunContext) -> dict[str, str]:
    """What a command reads of its run in variables."""
    return {
        "BATCHORD_RUN_ID": context.id,
        "BATCHORD_PIPELINE": context.pipeline,
        "BATCHORD_STEP": context.step,
        "BATCHORD_ATTEMPT": str(context.attempt),
        "BATCHORD_SLOT": _iso(context.slot),
        # The beginning of time is no date that a command could work with.
        "BATCHORD_WINDOW_START": _iso(open_start(context.window_start)),
        "BATCHORD_WINDOW_END": _iso(context.window_end),
        "BATCHORD_PARAMS": json.dumps(dict(context.params)),
    }


@contextmanager
def outputs_file(home: Path, context: RunContext) -> Iterator[str]:
    """A JSON file with the outputs of the steps before: an environment variable holds 128 KiB at the most.

    In the home, which nobody else can read. What a killed process left there goes when the next file is made: its lock
    has gone with it. A process number would not do, since the home may be shared by containers that number their own.
    """
    folder = home.expanduser().absolute() / "outputs"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as resources:
        # One at a time, or a file that was just made would be taken for one that was left.
        with (folder / ".lock").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            for left in folder.glob("*.json"):
                _remove_unlocked(left)
            file = resources.enter_context(
                tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json", dir=folder)
            )
            fcntl.flock(file, fcntl.LOCK_EX)
        json.dump({name: dict(output.output) for name, output in context.items()}, file)
        file.flush()
        yield file.name


def _remove_unlocked(file: Path) -> None:
    with suppress(BlockingIOError, FileNotFoundError), file.open() as left:
        fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.unlink()


def _iso(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat()

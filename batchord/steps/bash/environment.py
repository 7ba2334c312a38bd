"""The variables and the file in which a command reads about its run."""

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
    """The variables in which a command reads about its run."""
    return {
        "BATCHORD_RUN_ID": context.id,
        "BATCHORD_PIPELINE": context.pipeline,
        "BATCHORD_STEP": context.step,
        "BATCHORD_ATTEMPT": str(context.attempt),
        "BATCHORD_SLOT": _iso(context.slot),
        # A command cannot work with the beginning of time as a date.
        "BATCHORD_WINDOW_START": _iso(open_start(context.window_start)),
        "BATCHORD_WINDOW_END": _iso(context.window_end),
        "BATCHORD_PARAMS": json.dumps(dict(context.params)),
    }


@contextmanager
def outputs_file(home: Path, context: RunContext) -> Iterator[str]:
    """A JSON file with the outputs of the steps before: an environment variable can hold only 128 KiB.

    The file is in the home, which nobody else can read. Each call deletes the files of killed processes: their locks
    are gone. A process number in the name was rejected: containers that share the home may have the same numbers.
    """
    folder = home.expanduser().absolute() / "outputs"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as resources:
        # Only one process at a time: otherwise a new file without a lock yet would look like an old one.
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

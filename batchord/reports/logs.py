"""The last lines of an attempt's log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from batchord.core.run.logs import AttemptName, LogLine, LogStore
from batchord.core.text.visible import as_one_entry
from batchord.output.masking import mask


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """A line of a log for people."""

    time: datetime
    level: str
    #: The level, or ``stdout`` or ``stderr`` for a printed line.
    kind: str
    #: Without secrets, and without characters that control a terminal.
    message: str


def last_entries(store: LogStore, attempt: AttemptName, *, lines: int) -> Sequence[LogEntry]:
    """The last ``lines`` lines of the attempt's log, in order."""
    return [entry_of(line) for line in store.tail(attempt, lines=lines)]


def entry_of(line: LogLine) -> LogEntry:
    """The line for people."""
    kind = line.source if line.source in ("stdout", "stderr") else line.level
    return LogEntry(time=line.time, level=line.level, kind=kind, message=as_one_entry(mask(line.message)))

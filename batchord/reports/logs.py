"""The logs of attempts as people look at them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from batchord.core.run.logs import AttemptName, LogLine, LogStore
from batchord.core.text.visible import as_one_entry
from batchord.output.masking import mask
from batchord.reports.timeline import TimedAttempt, looked_at_first


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


def first_log(store: LogStore, run_id: str, attempts: Sequence[TimedAttempt]) -> TimedAttempt | None:
    """The attempt whose log people look at first. One without a log is chosen only if none of them has one."""
    logged = store.attempts(run_id)
    told = [each for each in attempts if AttemptName(run_id, *each.place) in logged]
    return looked_at_first(told or attempts)


def about_loss(cause: str, *, logged: bool) -> str:
    """What the log of a lost attempt lacks, for people. ``logged``: whether a line of it was stored."""
    if not logged:
        return (
            f"There is no log: the process was lost ({cause}) before a line was stored, or it logged nothing. "
            "Lines are stored every second; the worker's own log may have more."
        )
    return (
        f"The process was lost ({cause}), so the last lines may be missing: lines are stored every second, and those "
        "after half of BATCHORD_LOG_BYTES at the attempt's end alone. The worker's own log may have them."
    )


def entry_of(line: LogLine) -> LogEntry:
    """The line for people."""
    kind = line.source if line.source in ("stdout", "stderr") else line.level
    return LogEntry(time=line.time, level=line.level, kind=kind, message=as_one_entry(mask(line.message)))

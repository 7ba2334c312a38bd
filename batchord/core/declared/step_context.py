"""What a step gets when it is executed, and what it may return."""

import threading
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from batchord.core.declared.context import RunContext
from batchord.core.text.calls import NamesOptions


@dataclass(frozen=True, kw_only=True)
class StepContext(NamesOptions):
    """The run, the attempt, and what the worker's process offers to them.

    Args:
        run: The run, its parameters, and the outputs of the steps before this one.
        time_limit: Seconds that the attempt may take; None: no limit.
        stop: Set when another worker has the step or the run was cancelled. Then long work must raise LeaseLost.
        line: Adds a line to the attempt's log. Its arguments are the stream, ``stdout`` or ``stderr``, and the
            text. It is for the output of programs that the step starts: what the step itself logs and prints is in
            the log anyway.
        secrets: The values of environment variables that hold Batchord's own secrets, such as
            ``BATCHORD_AUTHOR_URL``, by name. Raises ConfigurationError for a name that this worker does not have.
        home: The worker's own folder for files, which nobody else can read.
        database_url: The address of the ledger's database for the author's role. Both SQLAlchemy and libpq can read
            it.
        lock_seconds: How long, in seconds, a process that is stopped during a transaction may keep its locks in
            that database.
        token: Proves that this attempt has the step. ``batchord.commit_sql_step`` needs it, see
            :mod:`batchord.steps.sql`.
    """

    run: RunContext
    time_limit: float | None
    stop: threading.Event
    line: Callable[[str, str], None]
    secrets: Callable[[Sequence[str]], dict[str, str]]
    home: Path
    database_url: str = field(repr=False)
    lock_seconds: float
    token: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class CheckContext:
    """What a step gets when it is checked and not executed."""

    #: The address of the ledger's database for the author's role.
    database_url: str = field(repr=False)
    #: How long a question to a server may take.
    time_limit: timedelta
    #: Whether an earlier step may create or change tables. Then a table that is missing now is no problem.
    tables_may_change: bool


#: One name of a step, or several.
Chosen = str | Sequence[str] | AbstractSet[str]


@dataclass(frozen=True)
class Choice(NamesOptions):
    """The result of a step that chooses which of the steps right after it run: one name or several.

    The others are skipped, unless a chosen step leads to them or their join is ``always``.

    Args:
        steps: The name of the step, or the names.
    """

    steps: Chosen

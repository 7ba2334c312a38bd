"""What a kind of step works with when it is executed, and what it may return."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchord.core.declared.context import RunContext


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """The run, the attempt, and what the worker's process offers."""

    #: The run, its parameters, and what became of the steps before.
    run: RunContext
    #: Seconds that the attempt may take; None: as long as it likes.
    time_limit: float | None
    #: Set when another worker has the step or the run was cancelled: long work ends then, by raising LeaseLost.
    stop: threading.Event
    #: Adds a line to the attempt's log: its stream, ``stdout`` or ``stderr``, and its text. What the step logs and
    #: prints is there without it; this is for the output of what the step starts.
    line: Callable[[str, str], None]
    #: The values of environment variables that hold Batchord's own secrets, such as ``BATCHORD_AUTHOR_URL``, by name.
    #: Raises ConfigurationError for a name that this worker does not have.
    secrets: Callable[[Sequence[str]], dict[str, str]]
    #: The worker's folder for files of its own, which nobody else can read.
    home: Path
    #: The ledger's database by the author's role, as SQLAlchemy and libpq read it.
    database_url: str = field(repr=False)
    #: Seconds that a process which stands still in mid-transaction may keep its locks in that database.
    lock_seconds: float
    #: Says which attempt has the step. ``batchord.commit_sql_step`` asks for it, see :mod:`batchord.steps.sql`.
    token: str = field(repr=False)


@dataclass(frozen=True)
class Choice:
    """What a step returns that chooses which of the steps right after it run: one of their names, or several.

    The others are skipped, unless a chosen one leads to them or their join is ``always``.
    """

    steps: Any

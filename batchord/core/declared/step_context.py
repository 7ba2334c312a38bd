"""What a step gets when it is executed, and what it may return."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchord.core.declared.context import RunContext
from batchord.core.text.calls import NamesOptions


@dataclass(frozen=True, kw_only=True)
class StepContext(NamesOptions):
    """The run, the attempt, and what the worker's process offers to them."""

    #: The run, its parameters, and the outputs of the steps before this one.
    run: RunContext
    #: Seconds that the attempt may take; None: no limit.
    time_limit: float | None
    #: Set when another worker has the step or the run was cancelled. Then long work must raise LeaseLost.
    stop: threading.Event
    #: Adds a line to the attempt's log. Its arguments are the stream, ``stdout`` or ``stderr``, and the text. It is for
    #: the output of programs that the step starts: what the step itself logs and prints is in the log anyway.
    line: Callable[[str, str], None]
    #: The values of environment variables that hold Batchord's own secrets, such as ``BATCHORD_AUTHOR_URL``, by name.
    #: Raises ConfigurationError for a name that this worker does not have.
    secrets: Callable[[Sequence[str]], dict[str, str]]
    #: The worker's own folder for files, which nobody else can read.
    home: Path
    #: The address of the ledger's database for the author's role. Both SQLAlchemy and libpq can read it.
    database_url: str = field(repr=False)
    #: How long, in seconds, a process that is stopped during a transaction may keep its locks in that database.
    lock_seconds: float
    #: Proves that this attempt has the step. ``batchord.commit_sql_step`` needs it, see :mod:`batchord.steps.sql`.
    token: str = field(repr=False)


@dataclass(frozen=True)
class Choice(NamesOptions):
    """The result of a step that chooses which of the steps right after it run: one name or several.

    The others are skipped, unless a chosen step leads to them or their join is ``always``.
    """

    steps: Any

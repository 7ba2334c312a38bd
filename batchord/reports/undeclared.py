"""Open runs whose pipeline no file declares now: they stand still until somebody restores the file, or ends them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from batchord.core.run.runs import Run
from batchord.core.text.counts import counted
from batchord.reports.run_names import short_ids
from batchord.reports.runs import RunReport

if TYPE_CHECKING:
    from batchord.catalog import Loaded
    from batchord.ledger import Ledger

#: Younger runs are left out: their files were loaded a moment ago, and loading them again takes seconds.
GRACE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class UndeclaredRun:
    """The oldest open run of a pipeline that no file declares now."""

    #: As people write it.
    run: str
    pipeline: str
    why: str
    next: str

    def __str__(self) -> str:
        return f"{self.why} {self.next}"


def old_and_open(runs: Iterable[Run | RunReport], now: datetime) -> list[Run | RunReport]:
    """Those of the runs that should have made progress by now, the oldest first."""
    waiting = [run for run in runs if not run.state.ended and run.created_at < now - GRACE]
    return sorted(waiting, key=lambda run: (run.created_at, run.id))


def undeclared_runs(
    ledger: "Ledger", loaded: "Loaded", folder: Path, runs: Iterable[Run | RunReport]
) -> list[UndeclaredRun]:
    """For each pipeline of these runs that no file in ``folder`` declares, the first of its runs."""
    first: dict[str, Run | RunReport] = {}
    for run in runs:
        if run.pipeline not in loaded.pipelines:
            first.setdefault(run.pipeline, run)
    ids = short_ids(ledger, [run.id for run in first.values()])
    return [_described(ids[run.id], run.pipeline, loaded, folder) for run in first.values()]


def _described(run: str, pipeline: str, loaded: "Loaded", folder: Path) -> UndeclaredRun:
    own = [problem for problem in loaded.problems if problem.pipeline == pipeline]
    unusable = sorted({problem.file for problem in loaded.problems if problem.pipeline is None})
    if own:
        why = f"Run {run} waits: {pipeline} has {counted(len(own), 'problem')} in {own[0].file}."
        restore = "Correct them"
    elif unusable:
        these = "it" if len(unusable) == 1 else "one of them"
        why = (
            f"Run {run} waits: no file in {folder} declares {pipeline}. {', '.join(unusable)} cannot be loaded, and "
            f"{these} may declare it."
        )
        restore = f"Correct {'this file' if len(unusable) == 1 else 'these files'}, or restore the pipeline's own"
    else:
        why = f"Run {run} cannot go on: no file in {folder} declares {pipeline}. Workers give up after some attempts."
        restore = "Restore the file"
    go_on = f"{restore}, and the run goes on within two minutes; `batchord cancel {run}` ends it."
    return UndeclaredRun(run=run, pipeline=pipeline, why=why, next=go_on)

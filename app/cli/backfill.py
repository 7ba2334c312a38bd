"""``batchord run NAME --from … --to …``: fills windows of the past."""

import sys
import time
from dataclasses import asdict
from datetime import datetime
from typing import Any

from batchord.core.run.runs import Run, RunState
from batchord.core.text.counts import counted
from batchord.reports.run_names import short_ids
from batchord.reports.runs import RunReport, in_cell

from .actor import this_person
from .broker import publish
from .output import coloured, console, print_json, table
from .terminal import foreign
from .waiting import on_ctrl_c, run_goes_on

_POLL_SECONDS = 0.5


def fill_range(name: str, start: datetime, end: datetime, params: dict[str, Any], *, wait: bool, as_json: bool) -> None:
    """Opens the runs, shows them, and waits for their ends if asked. Exits with 1 if one did not succeed."""
    from batchord.flow.begin.backfill import fill_windows
    from batchord.wiring import ledger, parts

    runs, messages = fill_windows(parts(), pipeline=name, start=start, end=end, params=params, actor=this_person())
    publish(messages)
    if wait:
        with (
            on_ctrl_c(lambda: _go_on(name, runs)),
            console.status(f"{counted(len(runs), 'window')} …") as status,
        ):
            runs = _ended(runs, status)
    if as_json:
        print_json([_json(run) for run in runs])
    else:
        ids = short_ids(ledger(), [run.id for run in runs])
        rows = [
            (ids[run.id], run.window_start, run.window_end, coloured(run.state), in_cell(each, "predicted"))
            for run in runs
            for each in [RunReport.of(run)]
        ]
        columns = ("run", "window from", "to", "state", ">predicted")
        table(
            f"Windows of {name}",
            columns,
            rows,
            empty="Every window of the range already has a run that is queued or running.",
        )
    if wait and any(run.state is not RunState.SUCCEEDED for run in runs):
        sys.exit(1)


def _go_on(name: str, runs: list[Run]) -> str:
    """What a person reads who stops waiting for the windows."""
    if len(runs) == 1:
        return run_goes_on(runs[0].id)
    return (
        f"The runs of {counted(len(runs), 'window')} go on. `batchord runs --pipeline {foreign(name)}` shows them, and "
        "`batchord cancel RUN` ends one of them."
    )


def _json(run: Run) -> dict[str, Any]:
    return {**asdict(RunReport.of(run)), "window_start": run.window_start, "window_end": run.window_end}


def _ended(runs: list[Run], status: Any) -> list[Run]:
    from batchord.wiring import ledger

    ended: dict[str, Run] = {}
    while len(ended) < len(runs):
        for run in runs:
            if run.id not in ended and (now := ledger().runs.get(run.id)).state.ended:
                ended[run.id] = now
        status.update(f"{len(ended)} of {counted(len(runs), 'window')} …")
        time.sleep(_POLL_SECONDS)
    return [ended[run.id] for run in runs]

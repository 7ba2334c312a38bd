"""What ``batchord top`` draws."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from batchord.core.text.counts import counted
from batchord.reports.activity import Activity, PipelineActivity, Work

from .output import cell, coloured
from .terminal import foreign, text

if TYPE_CHECKING:
    from batchord.queue.depths import QueueDepth
    from batchord.reports.queue_board import WorkerReport

#: The width of a bar, and its full and its empty part.
_WIDTH, _FULL, _EMPTY = 20, "━", "─"
#: Queues whose oldest message has been due for longer are marked.
_LONG_SECONDS = 60.0


def frame(shown: Activity, *, now: datetime) -> Table:
    """All that is drawn at one time. What people look for first is at the top: a low terminal cuts the rest off."""
    runs = sum(each.run is not None for each in shown.pipelines)
    drawn = Table.grid()
    drawn.add_row(
        text(
            (f"{now.astimezone():%H:%M:%S}", "bold"),
            f"  {counted(len(shown.pipelines), 'pipeline')}, {counted(runs, 'open run')}, "
            f"{counted(len(shown.workers), 'worker')} at work",
        )
    )
    if shown.problems:
        drawn.add_row(text((f"{counted(shown.problems, 'problem')} in the files: see `batchord pipelines`", "red")))
    if shown.unknown_because is not None:
        drawn.add_row(text((f"The runs are unknown: {foreign(shown.unknown_because)}", "yellow")))
    if shown.unread_because is not None:
        drawn.add_row(text((f"The queues are unknown: {foreign(shown.unread_because)}", "yellow")))
    drawn.add_row("")
    drawn.add_row(_pipelines(shown.pipelines))
    if shown.work:
        drawn.add_row("")
        drawn.add_row(_work(shown.work))
        if shown.more_work:
            drawn.add_row(f"and {shown.more_work:,} more")
    if shown.queues is not None:
        drawn.add_row("")
        drawn.add_row(_queues(shown.queues))
    if shown.answering is not None:
        drawn.add_row("")
        drawn.add_row(_workers(shown.answering) if shown.answering else text(("No worker answers.", "yellow")))
    return drawn


def _pipelines(pipelines: Sequence[PipelineActivity]) -> Table:
    drawn = _table("pipeline", "state", "progress", ">records/s", ">left", ">pending", ">oldest", ">alerts", "next")
    for each in pipelines:
        line = each.line
        drawn.add_row(
            cell(line.pipeline.name),
            _state(each.state),
            _bar(each.part) if each.run is not None else "",
            cell(each.records_per_second),
            _span(each.seconds_left),
            cell(each.pending),
            _span(line.oldest_pending or None),
            text((cell(line.alerts), "red" if line.alerts else "")),
            cell(line.pipeline.next),
        )
    return drawn


def _work(work: Sequence[Work]) -> Table:
    drawn = _table("worker", "does", ">attempt", ">for")
    for each in work:
        place = "" if each.shard is None else f"/{each.shard}"
        drawn.add_row(
            cell(each.worker_name),
            f"{cell(each.pipeline)} {cell(each.step)}{place}",
            text((cell(each.attempt), "yellow" if each.attempt > 1 else "")),
            _span(each.seconds),
        )
    return drawn


def _queues(queues: Sequence["QueueDepth"]) -> Table:
    drawn = _table("queue", ">waiting", ">taken", ">oldest waits")
    for each in queues:
        long = (each.oldest_ready or 0) > _LONG_SECONDS
        age = text((_span(each.oldest_ready), "yellow" if long else ""))
        drawn.add_row(cell(each.queue), cell(each.ready), cell(each.unacked), age)
    return drawn


def _workers(workers: Sequence["WorkerReport"]) -> Table:
    drawn = _table("worker", ">processes", ">tasks", "takes from")
    for each in workers:
        tasks = text(("idle", "dim")) if each.tasks == 0 else text(cell(each.tasks))
        drawn.add_row(cell(each.name), cell(each.processes), tasks, cell(", ".join(each.queues)))
    return drawn


def _table(*columns: str) -> Table:
    """Columns whose name begins with ``>`` hold numbers. A row is one line: what is too wide is cut."""
    drawn = Table(header_style="dim", box=None, pad_edge=False)
    for column in columns:
        drawn.add_column(
            column.lstrip(">"), justify="right" if column.startswith(">") else "left", no_wrap=True, overflow="ellipsis"
        )
    return drawn


def _state(state: str) -> Text:
    return text((state, "yellow")) if state == "paused" else coloured(state)


def _bar(part: float | None) -> Text:
    if part is None:
        return text((_EMPTY * _WIDTH, "dim"))
    full = int(part * _WIDTH)
    return text((_FULL * full, "cyan"), (_EMPTY * (_WIDTH - full), "dim"), f" {part:4.0%}")


def _span(seconds: float | None) -> str:
    """A time span as ``1:02:03``."""
    return "-" if seconds is None else str(timedelta(seconds=round(seconds)))

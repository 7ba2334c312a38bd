"""What the page of a run draws."""

from collections.abc import Callable

from batchord.core.text.counts import counted
from batchord.reports.progress import StepProgress
from batchord.reports.run_page import RunPageReport
from batchord.reports.timeline import TimedAttempt, Timeline

from ...drawing.charts import bars, parts
from ...drawing.words import duration, number
from .gantt import Bar, gantt
from .graph import Node, graph
from .run_words import attempt_in_words, letters_of, states_in_words


def graph_of(report: RunPageReport, address: Callable[[str], str]) -> str:
    """SVG: the steps, each a link to its log; empty for a single step."""
    if len(report.steps) < 2:  # noqa: PLR2004 -- one step is no graph
        return ""
    progress = {each.step: each for each in report.progress}
    nodes = []
    for step in report.steps:
        done = progress.get(step.name)
        if done is not None and done.is_at_work:
            note = f"{step.state} {done.part:.0%}"
        else:
            note = step.state if step.seconds is None else f"{step.state} {duration(step.seconds)}"
        reused = ", from the earlier run" if step.reused else ""
        after = f", after {', '.join(step.after)}" if step.after else ""
        nodes.append(
            Node(
                name=step.name,
                after=step.after,
                look=step.state.replace("_", "-"),
                note=note,
                text=f"{step.name} ({step.kind}): {note}{reused}{after}",
                address=address(step.name),
            )
        )
    states = states_in_words([step.state for step in report.steps])
    return graph(nodes, text=f"The graph of {counted(len(nodes), 'step')}: {states}. The table below lists them.")


def timeline_of(timeline: Timeline, address: Callable[[TimedAttempt], str]) -> str:
    """SVG: the attempts in the rows of their workers; empty without attempts."""
    if not timeline.attempts:
        return ""
    first = timeline.attempts[0].attempt.started_at
    drawn = [
        Bar(
            worker=each.worker,
            start=(each.attempt.started_at - first).total_seconds(),
            end=((each.attempt.finished_at or timeline.now) - first).total_seconds(),
            look=each.attempt.state.replace(" ", "-"),
            letters=letters_of(each),
            text=attempt_in_words(each),
            address=address(each),
        )
        for each in timeline.attempts
    ]
    states = states_in_words([each.attempt.state for each in timeline.attempts])
    workers = len({each.worker for each in timeline.attempts})
    took = duration(max(bar.end for bar in drawn))
    return gantt(
        drawn, text=f"Attempts by worker: {states}, by {counted(workers, 'worker')} within {took}. A table lists them."
    )


def progress_of(each: StepProgress) -> str:
    """SVG: predicted and rejected records as parts of those that were discovered."""
    whole = each.discovered or 1
    text = f"{number(each.predicted)} predicted, {number(each.rejected)} rejected, {number(each.pending)} pending"
    return parts([("done", each.predicted / whole), ("failed", each.rejected / whole)], text=text)


def phases_of(each: StepProgress) -> str:
    """SVG: the worker seconds of each phase; empty if no shard has ended."""
    if not any(each.seconds.values()):
        return ""
    told = ", ".join(f"{phase} {duration(seconds)}" for phase, seconds in each.seconds.items())
    return bars(each.seconds, text=f"Worker seconds of step {each.step}: {told}", unit=" s")

"""The first page: all pipelines, and what a person does with one."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from tornado.web import authenticated

from batchord.core.run.runs import RunState
from batchord.core.text.counts import counted
from batchord.flow.begin.start import start_run
from batchord.flow.upkeep.switch import pause
from batchord.reports.board import BoardLine, board
from batchord.reports.runs import RunReport
from batchord.wiring import catalog, ledger, parts

from ...drawing.svg import Square, line, strip
from ...drawing.words import duration, number
from .acting import actor, send
from .page import Action, Ours, Page

#: The lowest mark of a strip, as a part of its height: a run of no length can be pointed at.
_LEAST = 0.2


class FirstPage(Ours):
    """Leads to the pipelines. At Flower's first address, Flower's script would expect its list of workers."""

    @authenticated  # type: ignore[untyped-decorator]
    def get(self) -> None:
        """Leads there."""
        self.redirect(self.address("pipelines"))


class PipelinesPage(Page):
    """All pipelines, one line each."""

    template, tab = "pipelines", "pipelines"

    def content(self) -> dict[str, Any]:
        """The board."""
        shown = board(catalog().loaded, ledger)
        return {"board": shown, "at_work": shown.at_work, "strip_of": self.strip_of, "rates_of": rates_of}

    def strip_of(self, of: BoardLine) -> str:
        """SVG: the newest runs. Colour is the state; height is the duration."""
        longest = max((run.seconds or 0.0 for run in of.runs), default=0.0) or 1.0
        squares = [
            Square(
                look=run.state.value,
                height=max(_LEAST, (run.seconds or 0.0) / longest),
                text=run_in_words(run),
                address=self.address("run", run.id),
            )
            for run in of.runs
        ]
        return strip(squares, text=strip_in_words(of.pipeline.name, of.runs)) if squares else ""


class RunNow(Action):
    """Starts a run by hand."""

    def act(self, name: str) -> tuple[str, str]:
        """Opens the run and sends its first message."""
        run, messages = start_run(parts(), pipeline=name, trigger="flower", request=str(uuid4()), actor=actor())
        send(messages)
        return f"A run of {name} was started.", self.address("run", run.id)


class Pause(Action):
    """Pauses a pipeline, or resumes it."""

    def act(self, name: str) -> tuple[str, str]:
        """Switches it."""
        paused = self.get_body_argument("paused") == "yes"
        changed = pause(parts(), pipeline=name, paused=paused, actor=actor())
        state = "paused" if paused else "not paused"
        return f"{name} {'is' if changed else 'was already'} {state}.", self.address("pipelines")


def run_in_words(run: RunReport) -> str:
    """A run in one line, for a mark of a chart."""
    took = "" if run.seconds is None else f", {duration(run.seconds)}"
    start = run.started_at or run.created_at
    return (
        f"{start:%Y-%m-%d %H:%M:%S} UTC: {run.state}{took}, {number(run.predicted)} predicted, "
        f"{number(run.rejected)} rejected"
    )


def strip_in_words(name: str, runs: Sequence[RunReport]) -> str:
    """The newest runs of a pipeline in words, for who cannot see the chart."""
    states = [run.state for run in runs]
    counts = ", ".join(f"{states.count(state)} {state}" for state in RunState if state in states)
    return f"The last {counted(len(runs), 'run')} of {name}: {counts}"


def rates_of(of: BoardLine) -> str:
    """SVG: predicted records a second of the newest runs."""
    usual = of.usual_rate
    return line(of.rates, text="" if usual is None else f"Records a second, median {number(usual)}")

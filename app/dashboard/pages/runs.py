"""All runs: a filter, the newest of each pipeline side by side, and the list by page."""

from typing import Any

from batchord.core.errors import ConfigurationError
from batchord.core.run.run_lists import RunFilter
from batchord.core.run.runs import RunState
from batchord.core.text.moments import moment_of
from batchord.reports.run_lists import filter_values, run_grid, runs_page
from batchord.reports.runs import TRIGGERS, in_cell
from batchord.wiring import ledger

from ...drawing.words import number
from .page import Page
from .run_words import STATES, cell_in_words, shown_error

#: The runs of one page.
_PAGE = 50
_FIELDS = ("pipeline", "state", "trigger", "from", "to")


class RunsPage(Page):
    """Runs, the newest first."""

    template, tab = "runs", "runs"

    def content(self) -> dict[str, Any]:
        """The runs that the query string asks for."""
        given = {name: self.get_query_argument(name, "").strip() or None for name in _FIELDS}
        wanted, before = _filter(given), self.get_query_argument("before", None)
        values = filter_values(ledger())
        page = runs_page(ledger(), wanted, before=before, limit=_PAGE)
        return {
            "page": page,
            "grid": run_grid(ledger(), wanted, values.pipelines) if before is None else None,
            "given": given,
            "pipelines": _with(values.pipelines, given["pipeline"]),
            "triggers": [(each, TRIGGERS.get(each, each)) for each in _with(values.triggers, given["trigger"])],
            "states": STATES,
            "is_filtered": any(given.values()),
            "is_first": before is None,
            **self.turns(before=before, older=page.older, **given),
            "at_work": any(not each.run.state.ended for each in page.runs),
            "cell_in_words": cell_in_words,
            "shown_error": shown_error,
            "count": _count,
        }


def _filter(given: dict[str, str | None]) -> RunFilter:
    state = given["state"]
    if state is not None and state not in STATES:
        raise ConfigurationError(f"No run has the state {state!r:.100}. The states: {', '.join(STATES)}.")
    return RunFilter(
        pipeline=given["pipeline"],
        state=None if state is None else RunState(state),
        trigger=given["trigger"],
        start=None if given["from"] is None else moment_of(given["from"]),
        end=None if given["to"] is None else moment_of(given["to"]),
    )


def _with(values: Any, value: str | None) -> list[str]:
    """The values, and the chosen one even if no run has it."""
    return sorted({*values, *([value] if value else [])})


def _count(run: Any, name: Any) -> str:
    shown = in_cell(run, name)
    return shown if isinstance(shown, str) else number(shown)

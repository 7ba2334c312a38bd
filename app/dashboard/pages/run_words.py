"""Words about runs and attempts that several pages use."""

from batchord.core.run.runs import RunState
from batchord.reports.attempts import fault_of
from batchord.reports.run_lists import RunCell
from batchord.reports.timeline import TimedAttempt

from ...drawing.words import duration, number
from .asked import shows_records

#: Letters for states of attempts that are no plain success, so that colour does not say it alone.
LETTERS = {"failed": "✗", "lost": "lost", "split": "split", "retried": "↻", "cancelled": "–", "code-changed": "edit"}  # noqa: RUF001 -- a dash


def shown_error(error: str | None) -> str:
    """The error, without the records that it names if pages show nothing of single records."""
    return (error if shows_records() else fault_of(error)) or ""


def cell_in_words(run: RunCell) -> str:
    """A run of a grid in one line."""
    took = "" if run.seconds is None else f", {duration(run.seconds)}"
    return (
        f"{run.pipeline}, {run.created_at:%Y-%m-%d %H:%M:%S} UTC: {run.state}{took}, {number(run.predicted)} "
        f"predicted, {number(run.rejected)} rejected"
    )


def states_in_words(states: list[str]) -> str:
    """How many there are of each state, the most frequent first."""
    counts = sorted(((states.count(state), state) for state in set(states)), key=lambda each: (-each[0], each[1]))
    return ", ".join(f"{number(count)} {state}" for count, state in counts)


def attempt_in_words(each: TimedAttempt) -> str:
    """An attempt in one line."""
    took = f", {duration(each.seconds)}" if each.seconds is not None else ""
    cause = f" ({each.cause})" if each.cause else ""
    return f"{each.name} on {each.worker}: {each.attempt.state}{cause}{took}"


def letters_of(each: TimedAttempt) -> str:
    """What stands in the bar of an attempt: its shard, and how it ended if it did not go well."""
    shard = each.attempt.step if each.attempt.shard is None else str(each.attempt.shard)
    return " ".join(filter(None, (shard, LETTERS.get(each.attempt.state))))


#: The states of runs, for a filter.
STATES = tuple(state.value for state in RunState)

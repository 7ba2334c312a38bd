"""What an open run waits for, or why a run never started, in sentences for people."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from batchord.core.run.runs import Run, RunState, StepState
from batchord.core.text.counts import counted
from batchord.reports.run_names import short_ids

if TYPE_CHECKING:
    from batchord.ledger import Ledger

#: The most runs and steps that are named.
_MOST = 5
_CONTROL = "a control worker"


def waits_of(ledger: "Ledger", run: Run) -> Sequence[str]:
    """Why the run has not started, or what its steps wait for: one sentence each. Empty if it waits for nothing."""
    match run.state:
        case RunState.SKIPPED:
            return [f"It never started: {run.error or 'no reason was kept'}."]
        case RunState.QUEUED:
            return _of_a_queued_run(ledger, run)
        case RunState.RUNNING:
            rows = ledger.waits.steps(run.id)
            now = ledger.runs.now()
            over = {step.name for step in ledger.runs.steps(run.id) if step.state.over}
            return [sentence for row in rows if (sentence := _of_a_step(row, over, now))]
    return []


def _of_a_queued_run(ledger: "Ledger", run: Run) -> Sequence[str]:
    rows = ledger.waits.blockers(run.id, limit=100)
    if not rows:
        return [f"No other run blocks it. It starts as soon as {_CONTROL} takes its message."]
    at_work = [row for row in rows if row["state"] == "running"]
    earlier = [row for row in rows if row["state"] == "queued"]
    most = rows[0]["max_active"]
    sentences = []
    if at_work:
        same = " and reads the same records" if len(at_work) == 1 and at_work[0]["same_records"] and most > 1 else ""
        verb = "is" if len(at_work) == 1 else "are"
        sentences.append(f"It waits for {_named(ledger, at_work)}, which {verb} running{same}.")
    if earlier:
        verb = "starts" if len(earlier) == 1 else "start"
        sentences.append(f"{_named(ledger, earlier, first=True)} {verb} before it.")
    sentences.append(
        f"At most {counted(most, 'run')} of {run.pipeline} {'is' if most == 1 else 'are'} at work at a time."
    )
    if run.kind == "backfill":
        sentences.append("A backfill starts after all other queued runs.")
    return sentences


def _named(ledger: "Ledger", rows: Sequence[Mapping[str, Any]], *, first: bool = False) -> str:
    ids = short_ids(ledger, [row["id"] for row in rows[:_MOST]])
    word = "run" if len(rows) == 1 else "runs"
    more = f" and {len(rows) - _MOST} more" if len(rows) > _MOST else ""
    return f"{word.capitalize() if first else word} {', '.join(ids[row['id']] for row in rows[:_MOST])}{more}"


def _of_a_step(row: Mapping[str, Any], over: set[str], now: Any) -> str | None:
    name, state = row["name"], row["state"]
    if state == StepState.PENDING:
        before = [each for each in row["after"] if each not in over]
        return f"Step {name} waits for {_listed(before)}." if before else None
    if state == StepState.READY:
        if row["wait_seconds"] and row["due_at"] is not None and row["due_at"] > now:
            return f"Step {name} has failed and is tried again at {row['due_at']:%Y-%m-%d %H:%M:%S %Z}."
        worker = _CONTROL if row["sharded"] else f"a worker on queue {row['queue']}"
        return f"Step {name} waits for {worker}."
    if row["pending"] and row["sharded"]:
        busy = f" {counted(row['running'], 'shard')} of it at work." if row["running"] else ""
        noun, verb = counted(row["pending"], "shard"), "waits" if row["pending"] == 1 else "wait"
        return f"{noun} of step {name} {verb} for a worker on queue {row['queue']}.{busy}"
    return None


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST])
    return shown + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")

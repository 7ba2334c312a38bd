"""What ran: ``runs``, ``show``, ``rejections``."""

import json
import shlex
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from batchord.core.errors import ConfigurationError
from batchord.core.run.runs import Run, RunState
from batchord.core.run.summary import QUANTILES
from batchord.core.text.visible import as_one_entry

from .output import cell, coloured, console, json_option, print_json, run_json, short, table
from .terminal import foreign, text

#: Labels and reasons shown of each step.
_MOST = 12
#: Characters shown of a step's output.
_MOST_OUTPUT = 120
#: Ends of attempts that people ask about.
_ODD_ENDS = ("failed", "retried", "lost", "split", "code-changed")


@click.command()
@click.option("--pipeline", help="Only runs of this pipeline.")
@click.option("--state", type=click.Choice([str(state) for state in RunState]), help="Only runs in this state.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Show at most this many.")
@json_option
def runs(pipeline: str | None, state: str | None, limit: int, *, as_json: bool) -> None:
    """List the newest runs."""
    from batchord.wiring import ledger

    found = ledger().reports.runs(pipeline=pipeline, state=state, limit=limit)
    if as_json:
        print_json([run_json(run) for run in found])
        return
    rows = [
        (
            short(run.id),
            run.pipeline,
            run.trigger,
            run.slot,
            coloured(run.state),
            run.discovered,
            run.predicted,
            run.rejected,
            run.seconds,
        )
        for run in found
    ]
    columns = ("run", "pipeline", "trigger", "slot", "state", ">discovered", ">predicted", ">rejected", ">seconds")
    least = ("trigger", "discovered", "seconds", "rejected")
    empty = "No run matches." if pipeline or state else "No runs yet. Start one with `batchord run NAME`."
    table("Runs", columns, rows, empty=empty, least=least)


@click.command()
@click.argument("run_id", metavar="RUN")
@json_option
def show(run_id: str, *, as_json: bool) -> None:
    """Show one run: its summary, steps, shards and attempts. The first characters of the run's id are enough."""
    from batchord.wiring import ledger

    run = find_run(run_id)
    steps, shards, attempts = (read(run.id) for read in _reads(ledger().reports))
    if as_json:
        more = {"models": run.models, "params": run.params, "summary": run.summary, "error": run.error}
        window = {"window_start": run.window_start, "window_end": run.window_end, "rerun_of": run.rerun_of}
        parts = {"steps": steps, "shards": shards, "attempts": attempts}
        print_json({**run_json(run), **window, **more, **parts})
        return
    print_run(run)
    _print_steps(steps)
    if shards:
        _print_shards(shards)
    _print_attempts([each for each in attempts if each["attempt"] > 1 or each["state"] in _ODD_ENDS])


def _reads(reports: Any) -> tuple[Callable[[str], list[dict[str, Any]]], ...]:
    return reports.steps, reports.shards, reports.attempts


def _print_steps(steps: list[dict[str, Any]]) -> None:
    rows = [
        (
            step["name"],
            step["kind"],
            ", ".join(step["after"]),
            text(coloured(step["state"]), *([(" (from the earlier run)", "dim")] if step["reused"] else [])),
            step["attempt"],
            _seconds(step),
            _result(step),
        )
        for step in steps
    ]
    console.print()
    columns = ("step", "kind", "after", "state", ">attempts", ">seconds", "result")
    table("Steps", columns, rows, empty="This run has no steps.", least=("after", "kind", "seconds"))


def _print_attempts(attempts: list[dict[str, Any]]) -> None:
    """Those that did not simply go well."""
    if not attempts:
        return
    rows = [
        (
            each["step"],
            each["shard"],
            each["attempt"],
            coloured(each["state"]),
            each["worker"],
            each["started_at"],
            _seconds(each),
            each["error"] or "",
        )
        for each in attempts
    ]
    console.print()
    columns = ("step", ">shard", ">attempt", "state", "worker", "started", ">seconds", "error")
    table("Attempts that failed or followed a failure", columns, rows, empty="", least=("seconds", "worker"))


def _seconds(row: dict[str, Any]) -> float | None:
    if row["started_at"] is None or row["finished_at"] is None:
        return None
    taken: timedelta = row["finished_at"] - row["started_at"]
    return max(0.0, taken.total_seconds())


def _result(step: dict[str, Any]) -> str:
    """What people want to see of a step at one glance."""
    if step["error"]:
        return str(step["error"])
    if step["state"] == "ready" and step["attempt"] == 0 and step["queue"] and step["kind"] != "predict":
        queue = shlex.quote(step["queue"])
        return f"waits for a worker on queue {step['queue']}: celery -A batchord.app worker -Q {queue}"
    output = step["output"] or {}
    if step["kind"] == "predict":
        return f"{output['predicted']:,} predicted, {output['rejected']:,} rejected" if "predicted" in output else ""
    if "value" not in output or output["value"] is None:
        return ""
    from batchord.output.masking import mask_known

    # Masked before it is cut: half a secret is not known any more.
    value = mask_known(json.dumps(output["value"], ensure_ascii=False))
    return value if len(value) <= _MOST_OUTPUT else f"{value[:_MOST_OUTPUT]} …"


def _print_shards(shards: list[dict[str, Any]]) -> None:
    columns = ("step", ">shard", "state", ">planned", ">predicted", ">rejected", ">attempts", "worker", "error")
    rows = [
        (
            shard["step"],
            shard["index"],
            coloured(shard["state"]),
            shard["planned"],
            shard["predicted"],
            shard["rejected"],
            shard["attempt"],
            shard["worker"],
            shard["error"] or "",
        )
        for shard in shards
    ]
    console.print()
    empty = "No shards: the run had no records to predict."
    table("Shards", columns, rows, empty=empty, least=("planned", "attempts", "worker"))


@click.command()
@click.option("--pipeline", help="Only rejections of this pipeline.")
@click.option("--reason", help="Only rejections with this reason, such as missing-object.")
@click.option("--run", "run_id", metavar="RUN", help="Only rejections of this run.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1), help="Show at most this many.")
@json_option
def rejections(pipeline: str | None, reason: str | None, run_id: str | None, limit: int, *, as_json: bool) -> None:
    """List the rejected records: those that cannot be predicted, and why."""
    from batchord.wiring import ledger

    full_id = None if run_id is None else find_run(run_id).id
    found = ledger().reports.rejections(pipeline=pipeline, reason=reason, run_id=full_id, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (each["pipeline"], each["step"], each["key"], each["reason"], each["detail"], each["rejected_at"])
        for each in found
    ]
    columns = ("pipeline", "step", "record", "reason", "detail", "when")
    empty = "No rejection matches." if pipeline or reason or run_id else "No rejections."
    table("Rejections", columns, rows, empty=empty, least=("when", "step", "pipeline"))


def find_run(run_id: str) -> Run:
    """The run whose id begins so. Raises ConfigurationError when there is none, or more than one."""
    from batchord.wiring import ledger

    if not run_id.strip():  # every run's id begins so
        raise ConfigurationError("The run's id is empty. Give an id that `batchord runs` lists.")
    found = ledger().reports.runs_matching(run_id)
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigurationError(f"There is no run {run_id}. `batchord runs` lists the runs.")
    raise ConfigurationError(
        f"Several runs begin with {run_id}: {', '.join(run.id for run in found)}. Give more characters."
    )


def print_run(run: Run) -> None:
    """A run and its summary for people."""
    name, trigger = foreign(run.pipeline), foreign(run.trigger)
    console.print(text((name, "bold"), " ", coloured(run.state), f"  run {run.id}, by {trigger}"))
    steps = (run.summary or {}).get("steps", {})
    if steps or run.discovered or run.predicted or run.rejected:  # else it predicts nothing
        counts = f"  discovered {run.discovered:,} = predicted {run.predicted:,} + rejected {run.rejected:,}"
        pending = run.discovered - run.predicted - run.rejected
        console.print(counts + (f" + pending {pending:,}" if pending else ""))
    if run.slot is not None:
        console.print(f"  slot {cell(run.slot)}")
    if run.rerun_of is not None:
        console.print(f"  repeats run {run.rerun_of}")
    if run.error:
        console.print(text("  ", (as_one_entry(run.error), "red")))
    for step, summary in steps.items():
        if summary:
            _print_step(step, summary)


def _print_step(step: str, summary: dict[str, Any]) -> None:
    seconds = summary["seconds"]
    rate = summary["records_per_second"]
    console.print(
        f"  step {foreign(step)}: model {foreign(summary['model'])}, {summary['shards']} shards"
        + (f", {rate:,.0f} records/s" if rate else "")
        + f"; worker seconds: fetch {seconds['fetch']:.1f}, predict {seconds['predict']:.1f}, "
        f"write {seconds['write']:.1f}"
    )
    for title, values in (
        ("labels", _by_count(summary["labels"])),
        ("rejected", _by_count(summary["rejections"])),
        (
            "scores",
            {name: summary["score_quantiles"][name] for name in QUANTILES} if summary["score_quantiles"] else {},
        ),
    ):
        if values:
            said = ", ".join(f"{foreign(name)} {_figure(value)}" for name, value in list(values.items())[:_MOST])
            more = f" and {len(values) - _MOST} more" if len(values) > _MOST else ""
            console.print(f"    {title}: {said}{more}")
    if summary.get("truncated"):
        console.print(f"    truncated texts: {summary['truncated']:,}")


def _by_count(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _figure(value: float) -> str:
    """A count in full, a score with three digits that count."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"

"""Commands that show past runs: ``runs``, ``show``, ``rejections``."""

from collections.abc import Mapping
from dataclasses import asdict

import click

from batchord.core.run.runs import Run, RunState
from batchord.core.text.counts import counted
from batchord.core.text.visible import as_one_entry
from batchord.reports.counts import StepCounts
from batchord.reports.failures import rejection_steps
from batchord.reports.rejections import newest_rejections
from batchord.reports.run import RunDetail, RunOutcome, detail_of, outcome_of
from batchord.reports.run_names import run_named, short_ids
from batchord.reports.runs import RunReport, in_cell, newest_runs
from batchord.reports.summaries import StepSummary

from .database import shows_ledger
from .failures import print_failures, print_next_steps
from .output import cell, coloured, console, json_option, print_json, shortened, table
from .run_ids import written
from .terminal import foreign, text
from .undeclared import print_undeclared

#: The most labels and reasons that are shown for each step.
_MOST = 12
#: The most characters that are shown of a step's output.
_MOST_OUTPUT = 120
#: Stands for an error that is shown above in full.
_ABOVE = "see above"
#: A rate from this number on is shown without decimals.
_WHOLE = 10
#: Explains counts of runs with several Predict steps.
_PER_STEP = "Each Predict step counts its own records: 2 x 100 stands for two steps with 100 records each."


@click.command()
@click.option("--pipeline", help="Only runs of this pipeline.")
@click.option("--state", type=click.Choice([str(state) for state in RunState]), help="Only runs in this state.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Show at most this many.")
@json_option
@shows_ledger
def runs(pipeline: str | None, state: str | None, limit: int, *, as_json: bool) -> None:
    """List the newest runs."""
    from batchord.wiring import ledger

    reports = newest_runs(ledger(), pipeline=pipeline, state=state, limit=limit)
    if as_json:
        print_json([asdict(run) for run in reports])
        return
    ids = short_ids(ledger(), [run.id for run in reports])
    rows = [
        (
            ids[run.id],
            run.pipeline,
            run.started_by,
            run.slot,
            coloured(run.state),
            in_cell(run, "discovered"),
            in_cell(run, "predicted"),
            in_cell(run, "rejected"),
            run.seconds,
        )
        for run in reports
    ]
    columns = ("run", "pipeline", "trigger", "slot", "state", ">discovered", ">predicted", ">rejected", ">seconds")
    least = ("trigger", "discovered", "seconds", "rejected")
    empty = "No run matches." if pipeline or state else "No runs yet. Start one with `batchord run NAME`."
    table("Runs", columns, rows, empty=empty, least=least)
    if any(len(run.counts) > 1 for run in reports):
        console.print(text((_PER_STEP, "dim")))
    print_undeclared(reports)


@click.command()
@click.argument("run_id", metavar="RUN")
@json_option
@shows_ledger
def show(run_id: str, *, as_json: bool) -> None:
    """Show one run: its summary, steps, shards and attempts.

    RUN is the first characters of a run's id, or a pipeline's name for its newest run.
    """
    from batchord.wiring import ledger

    detail = detail_of(ledger(), find_run(run_id))
    if as_json:
        print_json(detail.as_json())
        return
    print_outcome(detail.outcome)
    for sentence in detail.waits:
        console.print(f"  {foreign(sentence)}")
    for progress in detail.progress:
        if progress.is_at_work:
            console.print(f"  {foreign(progress.sentence)}")
    print_undeclared([detail.outcome.run])
    for step, at in detail.resets.items():
        line = (
            f"  step {foreign(step)} was reset at {cell(at)}: the counts stay, but what this run wrote for it is gone"
        )
        console.print(text((line, "yellow")))
    _print_steps(detail)
    _print_shards(detail)
    _print_troubles(detail)
    print_failures(detail.outcome.run, detail.failures)


def _print_steps(detail: RunDetail) -> None:
    rows = [
        (
            step.name,
            step.kind,
            ", ".join(step.after),
            text(coloured(step.state), *([(" (from the earlier run)", "dim")] if step.reused else [])),
            step.executed_times,
            step.seconds,
            _ABOVE if detail.is_told_by_run(step) else step.note or shortened(step.value, _MOST_OUTPUT),
        )
        for step in detail.steps
    ]
    console.print()
    columns = ("step", "kind", "after", "state", ">executed", ">seconds", "result")
    table("Steps", columns, rows, empty="This run has no steps.", least=("after", "kind", "seconds"))


def _print_troubles(detail: RunDetail) -> None:
    """Prints the attempts that had trouble. Attempts that ended alike are one line, with their number."""
    troubles = detail.troubles
    if not troubles:
        return
    several = any(len(trouble.attempts) > 1 for trouble in troubles)
    rows = [
        (
            trouble.step,
            trouble.shards or None,
            trouble.numbers,
            coloured(trouble.state),
            *([len(trouble.attempts)] if several else []),
            trouble.worker,
            trouble.started_at,
            trouble.seconds,
            _ABOVE if detail.is_told_by_step(trouble) else trouble.error or "",
        )
        for trouble in troubles
    ]
    console.print()
    times = (">times",) if several else ()
    # Of several attempts that ended alike, the seconds are those of all of them together.
    seconds = ">seconds in all" if several else ">seconds"
    columns = ("step", ">shard", ">attempt", "state", *times, "worker", "started", seconds, "error")
    least = (seconds.lstrip(">"), "worker")
    table("Attempts that failed or followed a failure", columns, rows, empty="", least=least)


def _print_shards(detail: RunDetail) -> None:
    if not detail.shards:
        return
    errors = detail.shard_errors
    with_errors = any(errors)  # other errors are shown with the attempts
    rows = [
        (
            shard.step,
            shard.index,
            coloured(shard.state),
            shard.planned,
            shard.predicted,
            shard.rejected,
            shard.attempt,
            shard.worker_name,
            *([error or ""] if with_errors else []),
        )
        for shard, error in zip(detail.shards, errors, strict=True)
    ]
    console.print()
    columns = ("step", ">shard", "state", ">planned", ">predicted", ">rejected", ">attempts", "worker")
    table(
        "Shards",
        (*columns, "error") if with_errors else columns,
        rows,
        empty="",
        least=("planned", "attempts", "worker"),
    )


@click.command()
@click.option("--pipeline", help="Only rejections of this pipeline.")
@click.option("--step", help="Only rejections of this step.")
@click.option("--reason", help="Only rejections with this reason, such as missing-object.")
@click.option("--run", "run_id", metavar="RUN", help="Only rejections of this run.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1), help="Show at most this many.")
@json_option
@shows_ledger
def rejections(
    pipeline: str | None, step: str | None, reason: str | None, run_id: str | None, limit: int, *, as_json: bool
) -> None:
    """List the rejected records: those that cannot be predicted, and why."""
    from batchord.wiring import ledger

    full_id = None if run_id is None else find_run(run_id).id
    reports = newest_rejections(ledger(), pipeline=pipeline, step=step, reason=reason, run_id=full_id, limit=limit)
    if as_json:
        print_json([asdict(each) for each in reports])
        return
    rows = [(each.pipeline, each.step, each.key, each.reason, each.detail, each.rejected_at) for each in reports]
    columns = ("pipeline", "step", "record", "reason", "detail", "when")
    empty = "No rejection matches." if pipeline or step or reason or run_id else "No rejections."
    # A record that two steps have rejected is in two rows, which only the step distinguishes.
    several = len({(each.pipeline, each.step) for each in reports}) > 1
    table("Rejections", columns, rows, empty=empty, least=("when",) if several else ("when", "step", "pipeline"))
    print_next_steps(rejection_steps(reports))


def find_run(run_id: str) -> Run:
    """The run of that id or its beginning, or the newest of the pipeline of that name; see :func:`.run_named`."""
    from batchord.wiring import ledger

    return run_named(ledger(), run_id)


def print_run(run: Run) -> None:
    """Prints a run and its summary for people."""
    print_outcome(outcome_of(run))


def print_outcome(outcome: RunOutcome) -> None:
    """Prints a run's report for people, like :func:`print_run`."""
    run = outcome.run
    name, trigger = foreign(run.pipeline), foreign(run.started_by)
    console.print(text((name, "bold"), " ", coloured(run.state), f"  run {run.id}, trigger: {trigger}"))
    if len(run.counts) > 1:
        for each in run.counts:
            console.print(f"  step {foreign(each.step)}: {_equation(each)}")
    elif outcome.predicts:
        console.print(f"  {_equation(run)}")
    if run.rejected:
        console.print(
            f"  `batchord rejections --run {written(run.id)}` lists the rejected records. After a fix, `batchord retry "
            f"{name}` predicts them again.",
            style="dim",
        )
    if run.slot is not None:
        console.print(f"  slot {cell(run.slot)}")
    if outcome.rerun_of is not None:
        console.print(f"  repeats run {written(outcome.rerun_of)}")
    if outcome.error:
        console.print(text("  ", (as_one_entry(outcome.error), "red")))
    for step in outcome.steps:
        _print_summary(step)


def _equation(counts: RunReport | StepCounts) -> str:
    shown = f"discovered {counts.discovered:,} = predicted {counts.predicted:,} + rejected {counts.rejected:,}"
    return shown + (f" + pending {counts.pending:,}" if counts.pending else "")


def _print_summary(step: StepSummary) -> None:
    seconds, rate = step.seconds, step.records_per_second
    shown_rate = cell(rate if rate is None or rate < _WHOLE else round(rate))
    console.print(
        f"  step {foreign(step.step)}: model {foreign(step.model)}, {counted(step.shards, 'shard')}, "
        f"{shown_rate} records/s; "
        f"worker seconds: fetch {seconds['fetch']:.1f}, predict {seconds['predict']:.1f}, write {seconds['write']:.1f}"
    )
    for title, values in (
        ("labels", step.labels),
        ("rejected", step.rejections),
        ("scores", step.score_quantiles),
    ):
        if values:
            console.print(f"    {title}: {_figures(values)}")
    if step.truncated:
        console.print(f"    truncated texts: {step.truncated:,}")


def _figures(values: Mapping[str, float]) -> str:
    """The first values, with how many more there are: counts in full, scores with three significant digits."""
    shown = ", ".join(
        f"{foreign(name)} {f'{value:,}' if isinstance(value, int) else f'{value:.3g}'}"
        for name, value in list(values.items())[:_MOST]
    )
    return shown + (f" and {len(values) - _MOST} more" if len(values) > _MOST else "")

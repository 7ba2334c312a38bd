"""``batchord logs``: what a run's steps and shards logged and printed."""

import json
import time
from collections.abc import Callable, Iterator, Sequence

import click
from rich.text import Text

from batchord.core.errors import ConfigurationError
from batchord.core.run.logs import AttemptName, LogLine, LogPart, LogStore, PartName
from batchord.core.text.nested import in_every_text
from batchord.core.text.visible import in_json, in_one_line
from batchord.output.masking import mask_known
from batchord.reports.logs import about_loss, entry_of
from batchord.reports.run_names import short_id
from batchord.reports.timeline import TimedAttempt, timeline_of

from .database import shows_ledger
from .history import find_run
from .output import console, json_option

_POLL_SECONDS = 0.5
#: How long to wait for the last lines after a run's end.
_LINGER_SECONDS = 2.0
#: The most attempts that are looked at for lost ones.
_MOST_ATTEMPTS = 200
#: The most of them that are named together.
_MOST_NAMES = 5
_NOTHING = (
    "There is no log: nothing was logged, or the log was pruned. "
    "Batchord does not capture the output of threads and processes that a function starts."
)
_COLOURS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red", "DEBUG": "dim"}


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--step", help="Only this step.")
@click.option("--shard", type=click.IntRange(min=0), help="Only this shard of the step.")
@click.option("--attempt", type=click.IntRange(min=1), help="Only this attempt, counted from 1.")
@click.option("--follow", "-f", is_flag=True, help="Show new lines until the run has ended.")
@json_option
def logs(run_id: str, step: str | None, shard: int | None, attempt: int | None, *, follow: bool, as_json: bool) -> None:
    """Show what the steps and shards of a run logged and printed, even after their workers are gone.

    RUN is the first characters of a run's id, or a pipeline's name for its newest run.

    --json prints one object a line: time, level, source, message, run_id, step, shard, attempt, worker.
    """
    if shard is not None and step is None:
        raise click.UsageError("--shard needs --step: each step numbers its own shards.")
    shown, losses = _shown(run_id, step, shard, attempt, follow=follow, tell=_json if as_json else _text)
    if as_json:
        return
    if not shown and not losses:
        console.print(_NOTHING, style="dim")
    for each in losses:
        console.print(each, style="dim")


@shows_ledger
def _shown(
    run_id: str,
    step: str | None,
    shard: int | None,
    attempt: int | None,
    *,
    follow: bool,
    tell: Callable[[LogPart, LogLine], None],
) -> tuple[int, list[str]]:
    """How many lines were shown, and what the logs of lost attempts lack."""
    from batchord.wiring import ledger, log_store

    run = find_run(run_id)
    if step is not None:
        _check_step(run.id, step)
    shown = _show(log_store(), run.id, step, shard, attempt, follow=follow, tell=tell)
    wanted = (step, shard, attempt)
    lost = [
        each
        for each in timeline_of(ledger(), run.id, most=_MOST_ATTEMPTS).attempts
        if each.cause is not None and all(part in (None, own) for part, own in zip(wanted, each.place, strict=True))
    ]
    return shown, list(_losses(lost, log_store().attempts(run.id) if lost else set(), run.id))


def _losses(lost: Sequence[TimedAttempt], logged: set[AttemptName], run_id: str) -> Iterator[str]:
    """One text for the attempts of which the same is to be said."""
    alike: dict[str, list[str]] = {}
    for each in lost:
        text = about_loss(each.cause or "", logged=AttemptName(run_id, *each.place) in logged)
        alike.setdefault(text, []).append(in_one_line(each.name))
    for text, names in alike.items():
        more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
        yield f"{', '.join(names[:_MOST_NAMES])}{more}: {text}"


def _check_step(run_id: str, step: str) -> None:
    from batchord.wiring import ledger

    names = [each.name for each in ledger().runs.steps(run_id)]
    if step not in names:
        short = short_id(ledger(), run_id)
        raise ConfigurationError(f"Run {short} has no step {step!r}. Its steps: {', '.join(names) or 'none'}.")


def _show(
    store: LogStore,
    run_id: str,
    step: str | None,
    shard: int | None,
    attempt: int | None,
    *,
    follow: bool,
    tell: Callable[[LogPart, LogLine], None],
) -> int:
    seen: set[PartName] = set()
    shown = 0
    ended_at: float | None = None
    while True:
        for part in store.read(run_id, step=step, shard=shard, seen=seen):
            seen.add(part.name)
            if attempt in (None, part.attempt.attempt):
                for line in part.lines:
                    tell(part, line)
                    shown += 1
        if not follow or (ended_at is not None and time.monotonic() - ended_at > _LINGER_SECONDS):
            return shown
        if ended_at is None and _is_over(run_id):
            ended_at = time.monotonic()
        time.sleep(_POLL_SECONDS)


def _is_over(run_id: str) -> bool:
    from batchord.wiring import ledger

    return ledger().runs.get(run_id).state.ended


def _text(part: LogPart, line: LogLine) -> None:
    name = part.attempt
    where = name.step if name.shard is None else f"{name.step}/{name.shard}"
    text = Text(f"{line.time.astimezone():%m-%d %H:%M:%S.%f}"[:-3], style="dim")
    text.append(f" {in_one_line(where)} #{name.attempt} ", style="cyan")
    entry = entry_of(line)
    text.append(f"{in_one_line(entry.kind):<7} " if entry.kind == line.level else f"{entry.kind} ", style="dim")
    text.append(entry.message, style=_COLOURS.get(line.level, ""))
    console.print(text, soft_wrap=True)


def _json(part: LogPart, line: LogLine) -> None:
    name = part.attempt
    entry = {
        "time": line.time.isoformat(),
        "level": line.level,
        "source": line.source,
        "message": line.message,
        "run_id": name.run_id,
        "step": name.step,
        "shard": name.shard,
        "attempt": name.attempt,
        "worker": part.worker,
    }
    click.echo(in_json(json.dumps(in_every_text(entry, mask_known), ensure_ascii=False)))

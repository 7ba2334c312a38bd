"""Commands that switch a pipeline at run time: ``pause``, ``resume``, ``schedule``."""

import re
from dataclasses import asdict
from datetime import timedelta

import click

from batchord.core.calendar.schedules import Every, Schedule, cron, rrule
from batchord.core.errors import ConfigurationError
from batchord.reports.schedules import schedules

from .actor import this_person
from .database import require_ledger
from .output import console, json_option, print_json, table, with_offset
from .terminal import foreign, text

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
#: The width of a terminal that shows all next times in one line.
_ROOM = 120


@click.command()
@click.argument("name")
@json_option
def pause(name: str, *, as_json: bool) -> None:
    """Pause NAME: start no new runs by schedule or event until `batchord resume`, also across restarts.

    Runs by hand still start. Runs that are already at work continue.
    """
    _pause(name, paused=True, as_json=as_json)


@click.command()
@click.argument("name")
@json_option
def resume(name: str, *, as_json: bool) -> None:
    """Resume NAME: start runs by schedule and event again. Its catchup= decides which missed slots get a run."""
    _pause(name, paused=False, as_json=as_json)


@click.command()
@click.argument("name", required=False)
@click.option("--every", "interval", metavar="10m", help="An interval, such as 30s, 10m, 1h30m or 7d.")
@click.option(
    "--cron", "expression", metavar="EXPRESSION", help="A cron expression of five fields, in the time zone of --tz."
)
@click.option(
    "--rrule",
    "rule",
    metavar="RULE",
    help="A rule of RFC 5545, such as FREQ=WEEKLY;BYDAY=MO, in the time zone of --tz.",
)
@click.option("--tz", show_default="UTC", help="Time zone, such as Europe/Berlin.")
@click.option("--reset", is_flag=True, help="Use the schedule in the pipeline's file again.")
@json_option
def schedule(
    name: str | None,
    interval: str | None,
    expression: str | None,
    rule: str | None,
    tz: str | None,
    *,
    reset: bool,
    as_json: bool,
) -> None:
    """Show when NAME runs; without NAME, show all pipelines. With an option, give NAME another schedule.

    The new schedule stays across restarts and deploys until --reset.
    """
    from batchord.flow.upkeep.switch import reschedule
    from batchord.wiring import catalog, parts

    wanted = [option for option in (interval, expression, rule) if option is not None]
    if len(wanted) + reset > 1:
        raise click.UsageError("Give only one of --every, --cron, --rrule and --reset.")
    if tz is not None and expression is None and rule is None:
        raise click.UsageError("--tz sets the time zone of --cron or --rrule. Give one of them as well.")
    if wanted or reset:
        if name is None:
            raise click.UsageError("Give the NAME of the pipeline whose schedule is to change.")
        wanted_schedule = _wanted(interval, expression, rule, tz or "UTC")
        require_ledger()
        reschedule(parts(), pipeline=name, schedule=wanted_schedule, actor=this_person())
    require_ledger()
    names = catalog().names() if name is None else [catalog().get(name).name]
    reports = schedules(parts(), names)
    if as_json:
        shown = {each: asdict(report) for each, report in reports.items()}
        print_json(shown if name is None else shown[name])
        return
    between = ", " if console.width >= _ROOM else "\n"
    rows = [
        (
            each,
            report.when,
            report.set_by,
            text(("paused", "yellow")) if report.paused else between.join(map(with_offset, report.next)) or "-",
        )
        for each, report in reports.items()
    ]
    table("Schedules", ("pipeline", "schedule", "set by", "next"), rows, empty="No pipelines.")


def _pause(name: str, *, paused: bool, as_json: bool) -> None:
    from batchord.flow.upkeep.switch import pause as switch
    from batchord.wiring import parts

    require_ledger()
    changed = switch(parts(), pipeline=name, paused=paused, actor=this_person())
    if as_json:
        print_json({"pipeline": name, "paused": paused, "changed": changed})
    else:
        state = "paused" if paused else "not paused"
        shown = foreign(name)
        console.print(f"{shown} is {state} now." if changed else f"{shown} was already {state}.")


def _wanted(interval: str | None, expression: str | None, rule: str | None, time_zone: str) -> Schedule | None:
    if interval is not None:
        return Every(_length(interval))
    if expression is not None:
        return cron(expression, time_zone)
    return None if rule is None else rrule(rule, time_zone=time_zone)


def _length(text: str) -> timedelta:
    if not re.fullmatch(r"(\d+[smhd])+", text):
        raise ConfigurationError(
            f"--every {text} cannot be read as an interval. Write one such as 30s, 10m, 1h30m or 7d."
        )
    parts = re.findall(r"(\d+)([smhd])", text)
    try:
        return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta(0))
    except (OverflowError, ValueError):  # Python refuses a number with thousands of digits
        raise ConfigurationError(f"--every {text:.40} is too long. Give at most 1000 days.") from None

"""What a person switches at run time: ``pause``, ``resume``, ``schedule``."""

import re
from datetime import datetime, timedelta

import click

from app.cli.output import cell, console, json_option, print_json
from app.core.errors import ConfigurationError
from app.core.schedules import Every, Schedule, cron, rrule

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
#: Fire times shown.
_NEXT = 3


@click.command()
@click.argument("name")
@json_option
def pause(name: str, *, as_json: bool) -> None:
    """Start no more runs of NAME by schedule or event, across restarts. Runs by hand, and those at work, go on."""
    _pause(name, paused=True, as_json=as_json)


@click.command()
@click.argument("name")
@json_option
def resume(name: str, *, as_json: bool) -> None:
    """Start runs of NAME by schedule or event again. What it missed is made up for as its catchup= says."""
    _pause(name, paused=False, as_json=as_json)


@click.command()
@click.argument("name")
@click.option("--every", "interval", metavar="10m", help="An interval: 30s, 10m, 1h30m, 7d.")
@click.option("--cron", "expression", metavar="EXPRESSION", help="Five fields, in the zone of --tz.")
@click.option("--rrule", "rule", metavar="RULE", help="RFC 5545, such as FREQ=WEEKLY;BYDAY=MO, in the zone of --tz.")
@click.option("--tz", default="UTC", show_default=True, help="Time zone, such as Europe/Berlin.")
@click.option("--reset", is_flag=True, help="By its file again.")
@json_option
def schedule(
    name: str, interval: str | None, expression: str | None, rule: str | None, tz: str, *, reset: bool, as_json: bool
) -> None:
    """Show when NAME runs; or, with an option, schedule it differently from now on, across restarts."""
    from app.flow.slots import schedule_now
    from app.flow.switch import reschedule
    from app.wiring import catalog, parts

    declared = catalog().get(name)
    wanted = [option for option in (interval, expression, rule) if option is not None]
    if len(wanted) + reset > 1:
        raise click.UsageError("Give one of --every, --cron, --rrule and --reset.")
    if wanted or reset:
        reschedule(parts(), pipeline=name, schedule=_wanted(interval, expression, rule, tz))
    standing = parts().ledger.pipelines.standing(name)
    effective = schedule_now(declared, standing)
    upcoming: list[datetime] = []
    moment = standing.now
    while effective is not None and len(upcoming) < _NEXT and (slot := effective.slot_after(moment)) is not None:
        upcoming.append(slot)
        moment = slot
    by = "by hand" if declared.schedule is None else str(declared.schedule)
    if as_json:
        told = None if effective is None else str(effective)
        switched = standing.schedule is not None
        paused = standing.paused_at is not None
        print_json({"schedule": told, "file": by, "switched": switched, "paused": paused, "next": upcoming})
        return
    console.print(
        f"{name}: {by if effective is None else effective}" + (f" (its file: {by})" if standing.schedule else "")
    )
    if standing.paused_at is not None:
        console.print(f"  [yellow]paused[/] since {cell(standing.paused_at)}: `batchord resume {name}`")
    elif upcoming:
        console.print("  next: " + ", ".join(cell(slot) for slot in upcoming))


def _pause(name: str, *, paused: bool, as_json: bool) -> None:
    from app.flow.switch import pause as switch
    from app.wiring import parts

    changed = switch(parts(), pipeline=name, paused=paused)
    if as_json:
        print_json({"pipeline": name, "paused": paused, "changed": changed})
    else:
        state = "paused" if paused else "not paused"
        console.print(f"{name} is {state} now." if changed else f"{name} was {state} already.")


def _wanted(interval: str | None, expression: str | None, rule: str | None, time_zone: str) -> Schedule | None:
    if interval is not None:
        return Every(_length(interval))
    if expression is not None:
        return cron(expression, time_zone)
    return None if rule is None else rrule(rule, time_zone=time_zone)


def _length(text: str) -> timedelta:
    if not re.fullmatch(r"(\d+[smhd])+", text):
        raise ConfigurationError(f"--every {text} is no interval: give 30s, 10m, 1h30m or 7d.")
    parts = re.findall(r"(\d+)([smhd])", text)
    return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta(0))

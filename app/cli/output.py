"""Tables for people, JSON for programs."""

import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from app.core.runs import Run

F = TypeVar("F", bound=Callable[..., Any])

#: Piped into a file or another program, a table must not be folded to a terminal's width.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 180)

#: The contract for programs; fields may be added, none is renamed or removed.
RUN_FIELDS = (
    "id",
    "pipeline",
    "kind",
    "trigger",
    "slot",
    "state",
    "discovered",
    "predicted",
    "rejected",
    "created_at",
    "started_at",
    "finished_at",
)
_COLOURS = {
    "succeeded": "green",
    "done": "green",
    "running": "cyan",
    "planning": "cyan",
    "partial": "yellow",
    "skipped": "dim",
    "upstream_failed": "magenta",
    "retried": "yellow",
    "lost": "red",
    "split": "yellow",
    "ready": "cyan",
    "queued": "dim",
    "pending": "dim",
    "failed": "red",
    "cancelled": "red",
}


def json_option(command: F) -> F:
    """Adds ``--json``."""
    option: Callable[[F], F] = click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
    return option(command)


def print_json(value: Any) -> None:
    """Writes ``value`` to standard output, times in ISO 8601."""
    click.echo(json.dumps(value, default=_plain, indent=2))


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def run_json(run: Run) -> dict[str, Any]:
    """A run with the contract's fields."""
    return {name: getattr(run, name) for name in RUN_FIELDS}


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """A table, or ``empty`` when there are no rows. Columns whose name begins with ``>`` hold numbers."""
    if not rows:
        console.print(empty)
        return
    drawn = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    for column in columns:
        drawn.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*[cell(value) for value in row])
    console.print(drawn)


def cell(value: Any) -> str:
    """A value as a person reads it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%m-%d %H:%M:%S")
    return str(value)


def short(run_id: str) -> str:
    """The first characters of a run's id, which name it in practice: the time in milliseconds."""
    return run_id[:13]


def coloured(state: str) -> str:
    """A state in its colour."""
    colour = _COLOURS.get(state)
    return f"[{colour}]{state}[/]" if colour else state

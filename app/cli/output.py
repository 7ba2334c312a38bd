"""Tables for people, JSON for programs."""

import json
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from batchord.core.text.nested import in_every_text
from batchord.core.text.visible import as_one_entry, visible
from batchord.output.masking import mask, mask_known

from .terminal import Terminal, foreign, text

if TYPE_CHECKING:
    from batchord.catalog import Problem

F = TypeVar("F", bound=Callable[..., Any])

#: The width for a file or another program: no line is folded there, and a row of a table is one line.
ENDLESS = 1_000_000
console = Terminal(width=None if sys.stdout.isatty() else ENDLESS)
#: Columns with texts, which may be folded. Ids, states, times and numbers are never folded, since people copy them.
_TEXT = frozenset(
    {
        "after",
        "by",
        "detail",
        "error",
        "file",
        "message",
        "model",
        "names",
        "origin",
        "output",
        "record",
        "result",
        "schedule",
        "set by",
        "steps",
        "value",
        "worker",
    }
)
#: Columns whose texts may have several lines. Texts of all other columns are in one line.
_LINES = frozenset({"detail", "error", "message", "next", "result"})
#: Columns that are folded, too, if the others alone are too wide.
_NAMES = frozenset({"pipeline", "step", "trigger"})
#: The least width of a column of text, and the width between two columns, in characters.
_LEAST_TEXT, _GAP = 12, 2

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
    "code-changed": "yellow",
    "cancelled": "red",
}


def json_option(command: F) -> F:
    """Adds ``--json``."""
    option: Callable[[F], F] = click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
    return option(command)


def print_json(value: Any, *, unmasked: bool = False) -> None:
    """Prints ``value`` as JSON, times in ISO 8601. Known secrets are masked, unless ``unmasked``."""
    told = value if unmasked else in_every_text(value, mask_known)
    click.echo(json.dumps(told, default=_plain, indent=2))


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else mask_known(str(value))


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    empty: str,
    least: Sequence[str] = (),
    folds: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Prints a table, or ``empty`` if there are no rows. Columns whose name begins with ``>`` hold numbers.

    If a terminal is too narrow, the columns of ``least`` are left out, one after the other, until the others fit.
    ``folds``: for a column of ``least``, the columns that are folded rather than that it is left out; otherwise all
    texts. A table that is piped has all columns, and one line for each row.
    """
    if not rows:
        console.print(empty)
        return
    drawn = Table(header_style="dim", box=None, pad_edge=False)
    names = [column.lstrip(">") for column in columns]
    cells = [[_cell(value, lines=name in _LINES) for name, value in zip(names, row, strict=True)] for row in rows]
    widths = {name: _width([name, *(row[at] for row in cells)]) for at, name in enumerate(names)}
    for name in least:
        if _fits(widths, (folds or {}).get(name, _TEXT)):
            break
        del widths[name]
    # Nothing is cut off: if the terminal is still too narrow, every column is folded.
    folded = next((some for some in (_TEXT, _TEXT | _NAMES) if _fits(widths, some)), frozenset(names))
    shown = [at for at, name in enumerate(names) if name in widths]
    for at in shown:
        justify: Literal["left", "right"] = "right" if columns[at].startswith(">") else "left"
        drawn.add_column(names[at], justify=justify, overflow="fold", no_wrap=names[at] not in folded)
    for row in cells:
        drawn.add_row(*[row[at] for at in shown])
    # Printed separately: the table's own title would be folded to the table's width.
    console.print(text((title, "bold")))
    console.print(drawn)


def _cell(value: Any, *, lines: bool) -> str | Text:
    if isinstance(value, Text):
        return value
    lines = lines and console.width < ENDLESS
    return visible(mask(value)) if lines and isinstance(value, str) else cell(value)


def _width(cells: Sequence[str | Text]) -> int:
    return max(cell_len(line) for each in cells for line in str(each).split("\n"))


def _fits(widths: dict[str, int], folded: Collection[str]) -> bool:
    """Whether the terminal has room for all columns that are not folded."""
    needed = [
        min(width, max(_LEAST_TEXT, cell_len(name))) if name in folded else width for name, width in widths.items()
    ]
    return sum(needed) + _GAP * (len(needed) - 1) <= console.width


def cell(value: Any) -> str:
    """A value as text for people."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, datetime):
        return _local(value)
    return foreign(value)


def with_offset(moment: datetime) -> str:
    """A time in the reader's zone, with the offset of that zone: for times to come, by which people plan.

    It has seconds only if they are not 0: most slots begin with a minute.
    """
    local = moment.astimezone()
    clock = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
    return f"{_day(local)} {clock} {local.isoformat(timespec='seconds')[19:]}"


def _local(moment: datetime) -> str:
    """A time in the reader's zone."""
    local = moment.astimezone()
    return f"{_day(local)} {local:%H:%M:%S}"


def _day(local: datetime) -> str:
    """The day, with the year if that is another one than now."""
    year = f"{local.year:04}-" if local.year != datetime.now(UTC).astimezone().year else ""
    return f"{year}{local:%m-%d}"


def shortened(value: str, most: int) -> str:
    """The beginning of a long text for a terminal; the whole text if the output is piped."""
    return value if len(value) <= most or console.width >= ENDLESS else f"{value[:most]} …"


def coloured(state: str) -> Text:
    """A state in its colour."""
    return text((state, _COLOURS.get(state, "")))


def print_problems(problems: "Iterable[Problem]") -> None:
    """Prints the problems that authors must correct, one in each line."""
    for problem in problems:
        console.print(text(("✗", "red"), f" {as_one_entry(str(problem))}"))

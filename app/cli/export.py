"""The command ``export``."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from batchord.core.errors import ConfigurationError
from batchord.core.run.exported import Wanted, check_names, chosen_names
from batchord.core.text.counts import counted
from batchord.exports.formats import Format, format_of, require_format
from batchord.exports.whole_file import check_target, whole_file

from . import values
from .database import shows_ledger
from .output import console, json_option, print_json
from .terminal import Terminal, foreign
from .waiting import on_ctrl_c

if TYPE_CHECKING:
    from batchord.exports.export import Written

#: Stands for standard output.
_STDOUT = Path("-")
_UNITS = ("KiB", "MiB", "GiB", "TiB")
_UNIT = 1024


@click.command()
@click.argument("name")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    help="The file to write, such as reviews.parquet; - for standard output.",
)
@click.option("--step", help="The Predict step, if NAME has several.")
@click.option(
    "--since",
    callback=values.moment,
    metavar="TIME",
    help="Only predictions made from this time on. ISO 8601; UTC without an offset.",
)
@click.option("--where", metavar="SQL", help="Only rows that meet this condition on the columns.")
@click.option(
    "--columns", metavar="NAMES", help="The columns and their order, such as record_key,score; keys of outputs=, too."
)
@click.option(
    "--format", "given_format", type=click.Choice([str(each) for each in Format]), help="Instead of the file's ending."
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@json_option
def export(
    name: str,
    output: Path | None,
    *,
    step: str | None,
    since: datetime | None,
    where: str | None,
    columns: str | None,
    given_format: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write the predictions of pipeline NAME that are served now into a file: .parquet, .csv or .jsonl.

    There is one row for each record. The file has all rows as of one moment, also while a run is at work. It appears
    when it is complete: after an error or Ctrl-C, nothing is left of it, and an older file is untouched.
    """
    if output is None:
        raise click.UsageError(f"Name the file: batchord export {name} -o {name}.csv")
    if output != _STDOUT:
        check_target(output, force=force)
    chosen = _format(output, given_format, as_json=as_json)
    names = chosen_names(columns)
    require_format(chosen)
    written = _export(
        name,
        output,
        step=step,
        since=since,
        where=where,
        columns=names,
        chosen=chosen,
        force=force,
        quiet=as_json,
    )
    if as_json:
        print_json(
            {
                "pipeline": name,
                "step": written.step,
                "file": str(output),
                "format": chosen,
                "columns": list(written.columns),
                "rows": written.rows,
                "bytes": written.bytes,
                "seconds": round(written.seconds, 3),
            }
        )
        return
    line = f"{counted(written.rows, 'row')}, {_size(written.bytes)}, {written.seconds:.1f} s"
    if output == _STDOUT:
        click.echo(f"{line}.", err=True)
    else:
        console.print(f"{foreign(output)}: {line}.", soft_wrap=True)


def _format(output: Path, given: str | None, *, as_json: bool) -> Format:
    if output != _STDOUT:
        return format_of(output) if given is None else Format(given)
    if as_json:
        raise click.UsageError(
            "--json describes the file, and -o - writes the rows to the same place: give one of them."
        )
    if given is None or given == Format.PARQUET:
        raise click.UsageError("-o - needs --format csv or --format jsonl.")
    return Format(given)


@shows_ledger
def _export(
    name: str,
    output: Path,
    *,
    step: str | None,
    since: datetime | None,
    where: str | None,
    columns: tuple[str, ...],
    chosen: Format,
    force: bool,
    quiet: bool,
) -> "Written":
    from batchord.exports.export import export, step_to_export
    from batchord.ledger.exports import ConditionRefused
    from batchord.wiring import catalog, ledger

    wanted = Wanted(pipeline=name, step=step_to_export(ledger(), catalog(), name, step), since=since, where=where)
    check_names(columns, ledger().exports.outputs(name, wanted.step))
    to_stdout = output == _STDOUT
    to_people = to_stdout and _is_terminal()
    interrupted = on_ctrl_c(lambda: "Not all rows were written." if to_stdout else "No file was written.")
    with interrupted, _bar(name, to_stderr=to_stdout, quiet=quiet or to_people) as update:
        try:
            return export(
                ledger(),
                wanted,
                columns,
                format=chosen,
                opened=_stdout if to_stdout else partial(whole_file, output, force=force),
                for_people=to_people,
                on_rows=update,
            )
        except ConditionRefused as error:
            raise ConfigurationError(f"--where {error}") from None


def _is_terminal() -> bool:
    return sys.stdout.isatty()


@contextmanager
def _stdout() -> Iterator[BinaryIO]:
    file = sys.stdout.buffer
    yield file
    file.flush()


@contextmanager
def _bar(name: str, *, to_stderr: bool, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal. The block gets a function that moves it: rows that are done, and all rows."""
    shown = Terminal(stderr=True) if to_stderr else console
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=shown, transient=True, disable=quiet or not shown.is_terminal) as progress:
        bar = progress.add_task(foreign(name), total=None)
        yield lambda done, of_all: progress.update(bar, completed=done, total=of_all)


def _size(count: int) -> str:
    """Bytes, and from a KiB on also the unit in which people think: ``1,536 bytes (1.5 KiB)``."""
    size, unit = float(count), ""
    for larger in _UNITS:
        if size < _UNIT:
            break
        size, unit = size / _UNIT, larger
    return counted(count, "byte") + (f" ({size:.1f} {unit})" if unit else "")

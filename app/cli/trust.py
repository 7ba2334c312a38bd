"""``batchord trust``: what trusting a pickled file means, and the line that does it."""

from typing import TYPE_CHECKING

import click

from batchord.core.text.counts import counted
from batchord.core.text.error_text import from_notebook

from .output import console, json_option, print_json
from .terminal import foreign, text

if TYPE_CHECKING:
    from batchord.models.pickle_report import PickleReport

_MEANS = (
    "Loading a pickle runs code: whoever can write this file runs any code as the worker, with its rights, its "
    "passwords and its network. The digest stands for exactly these bytes: a file that is replaced or changed is not "
    "loaded. Trust it only if you know who wrote it. A .skops file needs no such trust: `batchord convert` writes one."
)


@click.command()
@click.argument("location", metavar="FILE")
@json_option
def trust(location: str, *, as_json: bool) -> None:
    """Print the line that lets a SklearnModel load the pickled FILE, and what the file would import.

    FILE is a path or s3://bucket/key. The command reads the file and runs nothing of it. It changes nothing: the file
    is trusted by the line, once it is in a pipeline's file.
    """
    from batchord.models.pickle_report import read_model, report_of
    from batchord.wiring import objects

    report = report_of(location, read_model(location, objects))
    if as_json:
        print_json(report.as_json())
        return
    print_pickle(report)
    console.print()
    console.print(_MEANS)
    console.print()
    console.print("The line for the SklearnModel:")
    console.print(f'  trust_pickle="{report.digest}",', soft_wrap=True)  # people copy it


def print_pickle(report: "PickleReport") -> None:
    """Prints what is known of the file without loading it."""
    packed = "" if report.compression is None else f", compressed with {foreign(report.compression)}"
    console.print(text((foreign(report.location), "bold"), f": a pickle of {counted(report.bytes, 'byte')}{packed}."))
    if report.imports:
        console.print("Loading it imports")
    elif report.incomplete is None:
        console.print("Loading it imports nothing.")
    for module, names in report.imports.items():
        console.print(text(f"  {foreign(module)}: ", (foreign(", ".join(names)), "dim")))
    for name in report.conspicuous:
        console.print(
            text(("!", "yellow"), f" {foreign(name)} is nothing that a model's data need: ask why it is there.")
        )
    for name in report.imports.get("__main__", ()):
        console.print(text(("!", "yellow"), f" {foreign(from_notebook(name))}."))
    if report.incomplete is not None:
        console.print(text(("!", "yellow"), f" The list is not complete: {foreign(report.incomplete)}."))

"""``batchord convert``: writes a pickled estimator as a ``.skops`` file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchord.core.process.extras import Extra, require
from batchord.core.text.counts import counted
from batchord.core.text.visible import as_one_entry
from batchord.output.masking import mask

from .output import console, json_option, print_json
from .terminal import foreign, text
from .trust import print_pickle
from .waiting import on_ctrl_c

if TYPE_CHECKING:
    from batchord.models.conversion import Converted


@click.command()
@click.argument("location", metavar="FILE")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write, such as model.skops.")
@click.option(
    "--trust", "trusted", metavar="DIGEST", help="Do not ask: the file's digest, as `batchord trust` prints it."
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@json_option
def convert(location: str, output: Path | None, *, trusted: str | None, force: bool, as_json: bool) -> None:
    """Load the pickled FILE, write it with skops, read it back, and compare. This runs the pickle's code.

    FILE is a path or s3://bucket/key. The command shows what the file imports, and asks. The pickle is loaded in a
    process without the secrets of this environment.
    """
    from batchord.exports.whole_file import check_target, whole_file
    from batchord.models.conversion import convert_pickle
    from batchord.models.pickle_report import read_model, report_of
    from batchord.models.pickles import check_digest, is_digest
    from batchord.settings import settings
    from batchord.wiring import objects

    if output is None:
        raise click.UsageError(f"Name the file: batchord convert {location} -o {Path(location).stem}.skops")
    if output.suffix != ".skops":
        raise click.UsageError(f"The name of a file for skops ends with .skops: -o {output.with_suffix('.skops')}")
    if trusted is not None and not is_digest(trusted):
        raise click.UsageError(f"--trust needs sha256: and 64 digits, as `batchord trust {location}` prints them.")
    if trusted is None and (as_json or not _can_ask()):
        raise click.UsageError(
            f"Nobody can be asked here whether the code of {location} may run. Give --trust sha256:…, as "
            f"`batchord trust {location}` prints it."
        )
    require(Extra.SKLEARN, for_what="`batchord convert`")
    check_target(output, force=force)
    data = read_model(location, objects)
    report = report_of(location, data)
    if trusted is None:
        print_pickle(report)
        click.confirm("Converting it runs this code now, as you. Go on?", abort=True)
    else:
        check_digest(location, report.digest, trusted, option="--trust")
    with on_ctrl_c(lambda: "No file was written."):
        converted, written = convert_pickle(location, data, report.digest, pipelines=settings().pipelines)
        with whole_file(output, force=force) as file:
            file.write(written)
    if as_json:
        print_json({"file": str(output), **converted.as_json()})
    else:
        _print(output, converted)


def _can_ask() -> bool:
    return sys.stdin.isatty()


def _print(output: Path, converted: "Converted") -> None:
    from batchord.models.converting import ROWS

    console.print(
        text((foreign(output), "bold"), f": {foreign(converted.kind)}, {counted(converted.bytes, 'byte')}, read back")
    )
    if converted.compared:
        methods = ", ".join(f"{foreign(name)}()" for name in converted.compared)
        console.print(f"The same class and parameters, and for {ROWS} made-up records the same {methods}.")
    else:
        why = as_one_entry(mask(str(converted.not_compared)))
        console.print(text(("!", "yellow"), f" The same class and parameters. Predictions were not compared: {why}."))
    for remark in converted.remarks:
        console.print(text(("!", "yellow"), f" {as_one_entry(mask(remark))}"))
    trusted = ", ".join(repr(name) for name in converted.trusted)
    if trusted:
        console.print("skops trusts some of its types only if you do. If you know what they do:")
    more = f", trusted=[{trusted}]" if trusted else ""
    console.print(f"  SklearnModel({foreign(repr(str(output)))}{foreign(more)})", soft_wrap=True)

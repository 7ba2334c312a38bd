"""``batchord new``: writes a pipeline file that runs as it stands."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause

from .database import database
from .output import console, json_option, print_json
from .terminal import foreign, text

if TYPE_CHECKING:
    from batchord.drafts.draft import Draft
    from batchord.drafts.proposal import Proposal

#: The most columns that are named of those that the query leaves out.
_MOST = 20


@click.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["function", "sklearn", "text", "image", "xgboost", "lightgbm", "catboost", "onnx"]),
    default="function",
    show_default=True,
    help="What predicts: a function, a scikit-learn or a transformers model, something that reads pictures, or a file "
    "that one of these libraries wrote.",
)
@click.option("--table", metavar="TABLE", help="Read the records of this table, such as public.reviews.")
@click.option("--key", metavar="COLUMN", help="The column of TABLE that identifies a record.")
@click.option("--arrival", metavar="COLUMN", help="The column of TABLE that orders records by their arrival.")
@click.option("--model", metavar="PATH", help="Where the model is: a path, or s3://bucket/prefix.")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of pictures, for --kind image.",
)
@json_option
def new(
    name: str,
    *,
    kind: str,
    table: str | None,
    key: str | None,
    arrival: str | None,
    model: str | None,
    pictures: Path | None,
    as_json: bool,
) -> None:
    """Write the pipeline file NAME.py that runs as it stands. The command overwrites no file.

    Without --table, the file brings its own records. With --table, the command reads the columns and indexes of that
    table, proposes the key and the arrival, says why, and names what the table lacks.
    """
    from batchord.drafts.draft import DraftKind, Request, write
    from batchord.drafts.drafting import check_name, sample_draft, table_draft
    from batchord.drafts.proposal import propose
    from batchord.settings import settings

    if table is None and (key is not None or arrival is not None):
        raise click.UsageError("--key and --arrival name columns of a table: give --table, too.")
    if kind == "function" and model is not None:
        raise click.UsageError("--model needs --kind, such as sklearn: a function stands in the file itself.")
    if pictures is not None and (kind != "image" or table is not None):
        raise click.UsageError("--pictures needs --kind image, without --table.")
    check_name(name)
    request = Request(name=name, kind=DraftKind(kind), folder=settings().pipelines, model=model, pictures=pictures)
    if table is None:
        draft = sample_draft(request)
    else:
        from batchord.wiring import describe_table

        with database():
            described = describe_table(table)
        draft = table_draft(request, described, propose(described, key=key, arrival=arrival))
    write(draft)
    if draft.script is not None:
        _run_script(draft.script)
    if as_json:
        print_json(draft.as_json())
    else:
        _print(draft)


def _run_script(script: Path) -> None:
    """Runs a script of the draft as the author will run it. Raises ConfigurationError if it fails."""
    done = subprocess.run(  # noqa: S603 -- this very Python and the file that was just written
        [sys.executable, "-P", str(script)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last_line = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ConfigurationError(f"The files are written, but {script} failed: {clause(last_line)}. Run it again.")


def _print(draft: "Draft") -> None:
    for path in draft.files:
        console.print(text("Wrote ", (foreign(path), "bold")))
    if draft.script is not None:
        console.print(text("Wrote ", (foreign(draft.script_writes), "bold"), f", by running {foreign(draft.script)}"))
    if draft.proposal is not None:
        _print_proposal(draft, draft.proposal)
    console.print("\nNext:")
    for extra in draft.missing_extras:
        console.print(f"  pip install 'batchord[{extra}]'", soft_wrap=True)
    if draft.place_for_model is not None:
        console.print(f"  put a model at {foreign(draft.place_for_model)}, or correct the path in the file")
    console.print(f"  batchord try {draft.name}")
    console.print(f"  batchord run {draft.name} --local")


def _print_proposal(draft: "Draft", proposal: "Proposal") -> None:
    rows = [
        ("key", proposal.key_name, proposal.key_why),
        ("arrival", proposal.arrival_name or "-", proposal.arrival_why),
        ("model", ", ".join(draft.columns) or "-", draft.columns_why),
    ]
    console.print()
    for what, value, why in rows:
        console.print(text(f"  {what:8}", (foreign(value), "bold"), (f"  {foreign(why)}", "dim")))
    if draft.left_out:
        more = f" and {len(draft.left_out) - _MOST} more" if len(draft.left_out) > _MOST else ""
        shown = f"{foreign(', '.join(draft.left_out[:_MOST]))}{more}"
        console.print(text("  left out  ", shown, ("  add to the query what the model reads", "dim")))
    for remark in proposal.remarks:
        console.print(text(("!", "yellow"), f" {foreign(remark.text)}"))
        if remark.statement is not None:
            console.print(f"    {foreign(remark.statement)}", soft_wrap=True)  # people copy it

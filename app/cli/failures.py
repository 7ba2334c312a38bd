"""Prints errors of the author's code, with their tracebacks, and what to do about them."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from batchord.core.run.failures import Failure
from batchord.core.text.counts import counted

from .output import console
from .run_ids import written
from .terminal import foreign, text

if TYPE_CHECKING:
    from batchord.core.run.runs import Run
    from batchord.reports.failures import FailureGroup
    from batchord.reports.runs import RunReport

#: The most columns of a frame that are named.
_MOST_COLUMNS = 20


def print_failures(run: "Run | RunReport", groups: Iterable["FailureGroup"]) -> None:
    """Prints the first failure of each group with its attempt, and the next steps."""
    for group in groups:
        more = f", and {counted(group.attempts - 1, 'more attempt')} at the same line" if group.attempts > 1 else ""
        shard = "" if group.shard is None else f", shard {group.shard}"
        console.print()
        title = f"First error in your code: step {foreign(group.step)}{shard}, attempt {group.attempt}{more}"
        console.print(text((title, "bold")))
        print_failure(group.first)
        if group.first.columns is not None:
            console.print(f"Columns of the frame: {_listed(group.first.columns)}")
        print_next_steps(group.next_steps(run.pipeline, written(run.id)))


def print_failure(failure: Failure) -> None:
    """Prints where the author's code failed, for which record, and the traceback."""
    record = "" if failure.key is None else f" for record {foreign(failure.key)}"
    place = "" if failure.place is None else f" at {foreign(failure.place)}"
    what = "Your code raised an error" if failure.key is None else "The model raised an error"
    console.print(text(("✗", "red"), f" {what}{record}{place}:"), soft_wrap=True)
    # Indented, so that no line of an error's own text can be taken for Batchord's words.
    console.print(textwrap.indent(failure.traceback, "    "), soft_wrap=True)


def print_next_steps(sentences: Sequence[str]) -> None:
    """Prints what a person does next."""
    for sentence in sentences:
        console.print(foreign(sentence), soft_wrap=True)


def _listed(columns: Mapping[str, str]) -> str:
    shown = [f"{foreign(name)} ({foreign(dtype)})" for name, dtype in columns.items()]
    more = f" and {len(shown) - _MOST_COLUMNS:,} more" if len(shown) > _MOST_COLUMNS else ""
    return (", ".join(shown[:_MOST_COLUMNS]) or "none") + more

"""Writes the predictions of a step that are served now into a file."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from batchord.core.declared.pipelines import Pipeline
from batchord.core.errors import CatalogError, ConfigurationError, UnknownPipeline, UnknownStep
from batchord.core.run.exported import Wanted
from batchord.core.text.similar import meant
from batchord.exports.formats import Format, writing
from batchord.exports.sink import Sink

if TYPE_CHECKING:
    from batchord.flow.parts import Catalog
    from batchord.ledger import Ledger

#: After how many rows the progress is told.
_TOLD_ROWS = 1_000


@dataclass(frozen=True, kw_only=True)
class Written:
    """What is in a file now."""

    step: str
    columns: Sequence[str]
    rows: int
    bytes: int
    seconds: float


def step_to_export(ledger: "Ledger", catalog: "Catalog", pipeline: str, step: str | None) -> str:
    """The Predict step that a person means: ``step``, or the only one. A step that the file has no more counts, too.

    Raises UnknownPipeline if neither a file nor the ledger knows the pipeline, UnknownStep for a step that predicts
    nothing, and ConfigurationError if there are several and none is named.
    """
    declared = _declared(catalog, pipeline)
    known = ledger.exports.steps(pipeline)
    if declared is None and not known:
        catalog.get(pipeline)  # raises
    names = known if declared is None else [each.name for each in declared.predict_steps]
    if step is not None:
        if step not in {*names, *known}:
            raise UnknownStep(_no_such_step(declared, pipeline, step, names))
        return step
    if not names:
        raise ConfigurationError(f"{pipeline} has no Predict step, so there are no predictions to export.")
    if len(names) > 1:
        raise ConfigurationError(
            f"{pipeline} has several Predict steps: {', '.join(names)}. Name one: `--step {names[0]}`."
        )
    return names[0]


def export(
    ledger: "Ledger",
    wanted: Wanted,
    names: Sequence[str],
    *,
    format: Format,  # noqa: A002 -- what it is
    opened: Callable[[], AbstractContextManager[BinaryIO]],
    for_people: bool = False,
    on_rows: Callable[[int, int], None] = lambda _done, _all: None,
) -> Written:
    """Writes the columns ``names`` of the wanted predictions, all as of one moment, in the order of the keys' texts.

    ``opened`` gives the file; it is called when the predictions can be read. ``on_rows`` gets the rows that are
    written and those that there are, now and then.

    Raises ConfigurationError if the step has no predictions at all; if only none is wanted, the file has no rows.
    """
    began = time.monotonic()
    with ledger.exports.reading(wanted) as predictions:
        if predictions.rows == 0 and not wanted.is_narrowed:
            raise ConfigurationError(
                f"Step {wanted.step} of {wanted.pipeline} has no predictions yet: start a run with "
                f"`batchord run {wanted.pipeline}`."
            )
        columns = predictions.columns(names)
        on_rows(0, predictions.rows)
        rows = 0
        with opened() as file:
            sink = Sink(file)
            with writing(format, sink, columns, for_people=for_people) as writer:
                for row in predictions.each(columns):
                    writer.write(row)
                    rows += 1
                    if rows % _TOLD_ROWS == 0:
                        on_rows(rows, predictions.rows)
            on_rows(rows, predictions.rows)
    return Written(step=wanted.step, columns=names, rows=rows, bytes=sink.bytes, seconds=time.monotonic() - began)


def _declared(catalog: "Catalog", pipeline: str) -> Pipeline | None:
    """The pipeline as its file declares it; None if the file is gone or broken: its predictions are there even so."""
    try:
        return catalog.get(pipeline)
    except (CatalogError, UnknownPipeline):
        return None


def _no_such_step(declared: Pipeline | None, pipeline: str, step: str, names: Sequence[str]) -> str:
    other = None if declared is None else next((each for each in declared.steps if each.name == step), None)
    if other is not None:
        return (
            f"Step {step} of {pipeline} is a {other.kind} step, which predicts nothing. Its Predict steps: "
            f"{', '.join(names) or 'none'}."
        )
    return f"{pipeline} has no Predict step {step!r}: {meant(step, names, listed='its Predict steps are')}"

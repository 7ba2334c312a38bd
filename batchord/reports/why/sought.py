"""A record, sought in the source of a step, which is only read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.steps import Predict
from batchord.core.run.records import Position
from batchord.core.text.error_text import message_of
from batchord.flow.upkeep.audit import ALL_TIME

if TYPE_CHECKING:
    from batchord.flow.parts import Parts


@dataclass(frozen=True, kw_only=True)
class Sought:
    """What was found."""

    #: The source, opened over all of time.
    source: SourceReader | None
    #: The places of the record: none, one, or several if the query gives its key several times.
    positions: Sequence[Position] = ()
    #: Why the source could not be read; None if it could.
    error: str | None = None


def seek(parts: "Parts", step: Predict, key: str) -> Sought:
    """Seeks the record with this key. Raises TransientError if the ledger does not answer."""
    source: SourceReader | None = None
    try:
        source = parts.open_source(step.source, ALL_TIME if step.source.uses_window else None)
        return Sought(source=source, positions=source.find([key]))
    except Exception as error:  # noqa: BLE001 -- an author's own kind of source may raise anything
        parts.ledger.runs.now()  # raises if the ledger is away, not the source
        return Sought(source=source, error=parts.mask(message_of(error)))

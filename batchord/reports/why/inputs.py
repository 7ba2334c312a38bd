"""The input of a record as the model got it, and as it would get it now."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError
from batchord.core.ports import NotAtHand
from batchord.core.run.provenance import Outcome
from batchord.core.run.records import Position, Rejection
from batchord.core.text.error_text import message_of
from batchord.flow.predict.prepare import prepare

if TYPE_CHECKING:
    from batchord.flow.parts import Parts


@dataclass(frozen=True, kw_only=True)
class InputReport:
    """A record's input then and now, by the 64-bit digests of its values."""

    #: The ledger keeps the digests of predictions only.
    then: int | None = None
    now: int | None = None
    #: Whether its values have changed; None if that cannot be told.
    changed: bool | None = None
    #: Why it would not come to the model now; None if it would.
    refused: str | None = None
    #: Why nothing can be told; None if something can.
    unknown: str | None = None


def compare_input(
    parts: "Parts", step: Predict, source: SourceReader | None, position: Position, outcome: Outcome
) -> InputReport:
    """Reads the record's values, prepares them as for the model, and compares their digest with the ledger's.

    Raises TransientError if the ledger does not answer.
    """
    then = outcome.input_digest
    try:
        digest, refused = _now(parts, step, source, position)
    except Exception as error:  # noqa: BLE001 -- an author's own source, a store or a model may raise anything
        parts.ledger.runs.now()  # raises if the ledger is away
        return InputReport(then=then, unknown=parts.mask(message_of(error)))
    if refused is not None:
        sentence = f"{refused.reason}: {refused.detail}"
        return InputReport(then=then, changed=None if then is None else True, refused=sentence)
    if then is None or digest is None:
        return InputReport(then=then, now=digest)
    if digest != then and outcome.code != step.code:
        # Another query or another model may read other columns of an unchanged row.
        why = "the digests differ, but the step's source or model has been edited since"
        return InputReport(then=then, now=digest, unknown=why)
    return InputReport(then=then, now=digest, changed=digest != then)


def _now(
    parts: "Parts", step: Predict, source: SourceReader | None, position: Position
) -> tuple[int | None, Rejection | None]:
    """The digest of the values now, or how the record would be rejected before it comes to the model."""
    assert source is not None  # noqa: S101 -- the record was found in it
    model = step.declared_model
    columns = model.reads
    if columns is None:
        loaded = parts.models.load_at_hand(model, parts.models.version(model))
        if isinstance(loaded, NotAtHand):
            raise ConfigurationError(
                f"the model was not loaded ({loaded.why}), and only the model knows which columns it reads"
            )
        columns = loaded.reads
    for frame, rejections in source.rows(first=position, last=position, chunk_rows=10, columns=columns):
        for rejection in rejections:
            return None, rejection
        prepared = prepare(frame, model, parts.images, arrival=step.source.arrival)
        for rejection in (*prepared.rejections, *prepared.undelivered):
            return None, rejection
        return prepared.digests[0], None
    raise ConfigurationError("the record was deleted a moment ago")

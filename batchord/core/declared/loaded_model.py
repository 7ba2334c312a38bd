"""The model that a worker loads from a declaration."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd


class LoadedModel(Protocol):
    """A model in memory, ready to predict."""

    @property
    def version(self) -> str:
        """Identifies the model that predicts, byte for byte: the same version means the same weights."""

    @property
    def runs_on(self) -> str:
        """``cpu``, ``cuda`` or ``mps``."""

    @property
    def picture_side(self) -> int | None:
        """Pixels to which the model scales a picture's shorter side; None if it takes pictures as they are."""

    @property
    def costly_characters(self) -> int | None:
        """The length, in characters, up to which a longer text takes more time; None if the length does not matter."""

    @property
    def reads(self) -> tuple[str, ...] | None:
        """The source's columns that the model reads, if its declaration does not say; None: all, or unknown."""

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """One row per row of ``frame``, with the same index in the same order.

        Columns: ``label`` (str) and ``score`` (float), both optional, and any others, whose values must be
        JSON-like. It may reorder and split rows inside for speed. It must not keep or change ``frame``. If the model
        has no answer for a row, any value of that row may be a DataError; then the record is rejected for it.

        Raises ModelContractViolation or ModelError if the model cannot do its work. It never raises DataError: the
        caller keeps records that cannot be predicted out of the frame.
        """


def remarks_of(model: LoadedModel) -> Sequence[str]:
    """What a person should know about the model, one sentence each: its attribute ``remarks``, which few kinds have."""
    remarks: Sequence[str] = getattr(model, "remarks", ())
    return remarks

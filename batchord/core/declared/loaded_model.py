"""What a declared model becomes in a worker."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd


class LoadedModel(Protocol):
    """A model in memory, ready to predict."""

    @property
    def version(self) -> str:
        """Identifies what the predictions come from, byte for byte: same version, same weights."""

    @property
    def runs_on(self) -> str:
        """``cpu``, ``cuda`` or ``mps``."""

    @property
    def picture_side(self) -> int | None:
        """Pixels that the model scales a picture's shorter side to; None when it wants pictures as they are."""

    @property
    def costly_characters(self) -> int | None:
        """Characters of a text up to which a longer one takes longer; None where its length does not count."""

    @property
    def reads(self) -> tuple[str, ...] | None:
        """The columns that it reads of a source, when its declaration does not say; None: all, or nobody knows."""

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """One row per row of ``frame``, with the same index in the same order.

        Columns: ``label`` (str), ``score`` (float), both optional, and any others, whose values must be
        JSON-like. May reorder and split rows inside for speed. Must not keep or change ``frame``. In a row for
        which there is no answer any value may be a DataError, for which the record is rejected.

        Raises ModelContractViolation or ModelError when the model cannot do its work; DataError is
        never raised: a record that cannot be predicted is kept out of the frame by the caller.
        """

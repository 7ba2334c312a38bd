"""Predictions on their way from a model's frame to the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from batchord.core.run.records import Rejection, Scalar


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """One batch of predictions as columns of equal length, ready to be written."""

    keys: list[Scalar]
    labels: list[str | None]
    scores: list[float | None]
    #: Everything else that the model returned; None if it returned nothing else.
    outputs: list[dict[str, Any] | None]
    #: 64-bit digests of the inputs, signed.
    digests: list[int]
    #: The values of columns for keys of the output, by the names of these columns, as texts that PostgreSQL reads as
    #: values of the column's type. A column that the model did not return is absent.
    typed: dict[str, list[str | None]] = field(default_factory=dict)

    def only(self, places: Sequence[int]) -> "Predictions":
        """Those at these places."""
        return Predictions(
            keys=[self.keys[at] for at in places],
            labels=[self.labels[at] for at in places],
            scores=[self.scores[at] for at in places],
            outputs=[self.outputs[at] for at in places],
            digests=[self.digests[at] for at in places],
            typed={name: [texts[at] for at in places] for name, texts in self.typed.items()},
        )


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The result of one call of the model."""

    predictions: Predictions
    rejections: list[Rejection] = field(default_factory=list)

"""Predictions on their way from a model's frame to the ledger."""

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


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The result of one call of the model."""

    predictions: Predictions
    rejections: list[Rejection] = field(default_factory=list)

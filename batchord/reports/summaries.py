"""Summaries of Predict steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchord.core.run.summary import QUANTILES, rate


@dataclass(frozen=True, kw_only=True)
class StepSummary:
    """A Predict step's summary, read from the ledger."""

    step: str
    model: str
    shards: int
    #: By wall time; None if too little was measured.
    records_per_second: float | None
    #: Seconds of each phase, summed over workers: ``fetch``, ``predict``, ``write``.
    seconds: Mapping[str, float]
    #: The most frequent label first, then by name. Rejections by reason have the same order.
    labels: Mapping[str, int]
    rejections: Mapping[str, int]
    #: From the least to the greatest.
    score_quantiles: Mapping[str, float]
    #: How many scores are in each of some ranges of the same width, from the least to the greatest; empty if unknown.
    score_counts: Sequence[int]
    truncated: int


def step_summaries(summary: Mapping[str, Any] | None) -> list[StepSummary]:
    """The summaries of the steps that have ended, from the run's ``summary``."""
    return [_summary(step, each) for step, each in (summary or {}).get("steps", {}).items() if each]


def _summary(step: str, of: Mapping[str, Any]) -> StepSummary:
    quantiles = of["score_quantiles"] or {}
    return StepSummary(
        step=step,
        model=of["model"],
        shards=of["shards"],
        # Computed again: an earlier release stored a rate even if it had measured too little.
        records_per_second=rate(of["predicted"] + of["rejected"], of["elapsed"]),
        seconds=of["seconds"],
        labels=_by_count(of["labels"]),
        rejections=_by_count(of["rejections"]),
        score_quantiles={name: quantiles[name] for name in QUANTILES if name in quantiles},
        # Earlier releases did not count them.
        score_counts=of.get("score_counts") or (),
        truncated=of.get("truncated", 0),
    )


def _by_count(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

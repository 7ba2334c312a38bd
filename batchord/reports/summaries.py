"""What a Predict step came to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchord.core.run.summary import QUANTILES, rate


@dataclass(frozen=True, kw_only=True)
class StepSummary:
    """What a Predict step came to, of its summary in the ledger."""

    step: str
    model: str
    shards: int
    #: Wall time; None when too little was measured.
    records_per_second: float | None
    #: Sums over workers, by phase: ``fetch``, ``predict``, ``write``.
    seconds: Mapping[str, float]
    #: The most frequent first, then by name; so are the rejections by reason.
    labels: Mapping[str, int]
    rejections: Mapping[str, int]
    #: From the least to the greatest.
    score_quantiles: Mapping[str, float]
    truncated: int


def step_summaries(summary: Mapping[str, Any] | None) -> list[StepSummary]:
    """Those of the steps that have ended, of their run's ``summary``."""
    return [_summary(step, each) for step, each in (summary or {}).get("steps", {}).items() if each]


def _summary(step: str, of: Mapping[str, Any]) -> StepSummary:
    quantiles = of["score_quantiles"] or {}
    return StepSummary(
        step=step,
        model=of["model"],
        shards=of["shards"],
        # Not as it was written: an earlier release gave a rate however little it had measured.
        records_per_second=rate(of["predicted"] + of["rejected"], of["elapsed"]),
        seconds=of["seconds"],
        labels=_by_count(of["labels"]),
        rejections=_by_count(of["rejections"]),
        score_quantiles={name: quantiles[name] for name in QUANTILES if name in quantiles},
        truncated=of.get("truncated", 0),
    )


def _by_count(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

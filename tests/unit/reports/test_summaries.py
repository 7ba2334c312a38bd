"""What Predict steps came to."""

from typing import Any

import pandas as pd

from batchord.reports.summaries import step_summaries
from tests.integration.flow_parts import STEP, Bench


def by_parity(frame: pd.DataFrame) -> "pd.Series[str]":
    """Two labels of three records are odd."""
    return pd.Series(["odd" if key % 2 else "even" for key in frame.index], index=frame.index)


def test_labels_are_in_the_order_of_their_counts(bench: Bench) -> None:
    """The most frequent first; the ledger's order says nothing."""
    bench.insert(3)
    bench.declare(by_parity)

    (summary,) = step_summaries(bench.run().summary)

    assert (summary.step, summary.shards, list(summary.labels.items())) == (STEP, 1, [("odd", 2), ("even", 1)])
    assert summary.records_per_second is None, "three records are no measure"
    assert set(summary.seconds) == {"fetch", "predict", "write"}


def test_a_rate_of_an_earlier_release_is_judged_again() -> None:
    """It was given however little had been measured."""
    of: dict[str, Any] = {"model": "m@1", "shards": 1, "predicted": 3, "rejected": 0, "elapsed": 0.02}
    of |= {"records_per_second": 150.0, "seconds": {}, "labels": {}, "rejections": {}, "score_quantiles": None}
    long = {**of, "predicted": 5000, "elapsed": 10.0}

    summaries = step_summaries({"steps": {"tiny": of, "long": long, "open": None}})

    assert [(each.step, each.records_per_second) for each in summaries] == [("tiny", None), ("long", 500.0)]


def test_scores_are_from_the_least_to_the_greatest(bench: Bench) -> None:
    """Whatever order the ledger keeps them in."""
    bench.insert(20)
    bench.declare()

    (summary,) = step_summaries(bench.run().summary)

    assert list(summary.score_quantiles) == ["min", "p5", "p25", "p50", "p75", "p95", "max"]

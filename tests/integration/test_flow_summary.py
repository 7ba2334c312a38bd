"""A run's summary and its stored text, for any characters from the source and the model."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchord import FunctionModel
from batchord.core.run.runs import Run, RunState
from tests.integration.flow_parts import RECORDS, STEP, Bench


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Twenty records with bodies of 1 to 20 letters."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(20)
        yield bench


def judge(frame: pd.DataFrame) -> pd.DataFrame:
    """Labels by parity, scores of a twentieth per letter, long texts cut off; refuses one record's score."""
    lengths = frame["body"].str.len()
    scores = (lengths / 20).where(lengths != 10, float("inf"))
    labels = lengths.map(lambda count: "even" if count % 2 == 0 else "odd")
    return pd.DataFrame({"label": labels, "score": scores, "truncated": lengths > 15}, index=frame.index)


def odd_characters(frame: pd.DataFrame) -> pd.DataFrame:
    """Gives back NUL and a lone surrogate in the label, in a column's name and deep inside its value."""
    outputs = [{"words": [f"a\x00b{key}", "\ud800"]} for key in frame.index]
    return pd.DataFrame({"label": "nul\x00 and \udcff", "deep\x00": outputs}, index=frame.index)


def step_summary(run: Run) -> dict[str, Any]:
    """What the run's summary says of its only step, after a journey through JSON."""
    read: dict[str, Any] = json.loads(json.dumps(run.summary, allow_nan=False))["steps"][STEP]
    return read


def test_a_summary_counts_what_was_written(bench: Bench) -> None:
    """Labels, quantiles, rejections by reason and truncated texts, all as JSON."""
    bench.declare(FunctionModel(judge, version="7"), shard_rows=10, batch_rows=4)
    run = bench.run()
    summary = step_summary(run)
    counts = ("discovered", "predicted", "rejected", "pending", "changed_since_planned", "shards", "failed_shards")
    assert [summary[name] for name in counts] == [20, 19, 1, 0, 0, 2, 0]
    assert summary["labels"] == {"odd": 10, "even": 9}
    assert summary["more_labels"] is False
    assert summary["rejections"] == {"not-finite": 1}
    assert summary["truncated"] == 5
    assert summary["model"] == "judge@7" == run.models[STEP]
    assert (summary["retries"], summary["shard_errors"]) == (0, [])
    quantiles = summary["score_quantiles"]
    assert (quantiles["min"], quantiles["p50"], quantiles["max"]) == (0.05, 0.55, 1.0)
    rising = [quantiles[name] for name in ("min", "p5", "p25", "p50", "p75", "p95", "max")]
    assert rising == sorted(rising)
    scores = summary["score_counts"]
    assert (len(scores), sum(scores), min(scores[0], scores[-1])) == (20, 19, 1), "both ends hold a score"
    assert run.summary is not None
    assert [run.summary[name] for name in counts[:4]] == [20, 19, 1, 0]


@pytest.mark.parametrize("scores", [[0.5, 0.5], [-1.5e308, 1.5e308]], ids=["equal", "far apart"])
def test_scores_without_a_usable_range_are_not_counted(bench: Bench, scores: list[float]) -> None:
    """The quantiles say enough, and nothing overflows."""
    bench.declare(lambda frame: pd.DataFrame({"score": [scores[key % 2] for key in frame.index]}, index=frame.index))
    summary = step_summary(bench.run())
    assert float(summary["score_quantiles"]["max"]) == max(scores)
    assert summary["score_counts"] is None


def test_a_summary_says_where_the_time_went(bench: Bench) -> None:
    """Seconds per phase over all workers, and wall time; 20 records are too few for a rate."""
    bench.declare()
    run = bench.run()
    summary = step_summary(run)
    assert set(summary["seconds"]) == {"fetch", "predict", "write"}
    assert all(seconds >= 0 for seconds in summary["seconds"].values())
    assert summary["elapsed"] > 0
    assert summary["records_per_second"] is None
    assert run.seconds is not None
    assert run.seconds >= summary["elapsed"]
    assert bench.ledger.runs.last_rate(run.pipeline, STEP) is None


def test_the_newest_measured_rate_is_the_last_one(bench: Bench) -> None:
    """A run that was too short for a rate hides none before it."""
    bench.declare()
    bench.run()
    bench.sql("UPDATE batchord.runs SET summary = jsonb_set(summary, '{steps,score,records_per_second}', '12.5')")
    bench.insert(1)
    bench.run()
    assert bench.ledger.runs.last_rate("items", STEP) == 12.5


def test_a_label_per_record_does_not_fill_the_summary(bench: Bench) -> None:
    """Fifty labels are named, the most frequent first, and it is said that there are more."""
    bench.insert(60)
    bench.sql("UPDATE records SET body = 'twice' WHERE id <= 2")
    bench.declare(lambda frame: pd.Series([str(key // 2) for key in frame.index], index=frame.index))
    summary = step_summary(bench.run())
    assert len(summary["labels"]) == 41
    assert summary["more_labels"] is False
    bench.declare(lambda frame: pd.Series([f"label {key}" for key in frame.index], index=frame.index), name="each")
    summary = step_summary(bench.run("each"))
    assert (len(summary["labels"]), summary["more_labels"]) == (50, True)


def test_a_run_with_nothing_to_do_has_a_summary_too(bench: Bench) -> None:
    """Zeros and no rate, instead of a division by nothing."""
    bench.declare()
    bench.run()
    summary = step_summary(bench.run())
    assert (summary["discovered"], summary["shards"], summary["labels"]) == (0, 0, {})
    assert (
        summary["score_quantiles"]
        is summary["score_counts"]
        is summary["elapsed"]
        is summary["records_per_second"]
        is None
    )


def test_what_postgresql_cannot_hold_is_written_visibly(bench: Bench) -> None:
    """NUL and lone surrogates of a model's output are kept as text, in labels, names and values."""
    bench.sql("DELETE FROM records WHERE id > 1")
    bench.declare(odd_characters)
    run = bench.run()
    assert run.state is RunState.SUCCEEDED, run.error
    assert bench.sql("SELECT label, output FROM batchord.predictions") == [
        ("nul\\u0000 and \\udcff", {"deep\\u0000": {"words": ["a\\u0000b1", "\\ud800"]}})
    ]
    assert step_summary(run)["labels"] == {"nul\\u0000 and \\udcff": 1}


def test_text_with_nul_comes_out_of_sqlite_and_into_the_ledger(bench: Bench, tmp_path: Path) -> None:
    """SQLite's text may hold NUL: the model sees it as it is, the ledger keeps it visibly, also in a rejection."""
    file = tmp_path / "records.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE records (id INTEGER PRIMARY KEY, body TEXT)")
        connection.executemany("INSERT INTO records (body) VALUES (?)", [("a\x00b",), ("bad\x00",), ("plain",)])
        connection.commit()

    def echo(frame: pd.DataFrame) -> "pd.Series[Any]":
        if any("bad" in text for text in frame["body"]):
            raise ValueError(f"cannot bear {frame['body'].iloc[-1]}")
        return frame["body"]

    bench.declare(echo, source=replace(RECORDS, url=f"sqlite:///{file}", settle=timedelta(0)))
    run = bench.run()
    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 2, 1)
    assert dict(bench.sql("SELECT record_key, label FROM batchord.predictions")) == {"1": "a\\u0000b", "3": "plain"}
    assert "cannot bear bad\\u0000" in bench.value("SELECT detail FROM batchord.rejections")


def test_the_error_of_a_run_may_hold_any_character(bench: Bench) -> None:
    """The model's own words reach the run's error, visibly."""

    def broken(frame: pd.DataFrame) -> "pd.Series[Any]":
        raise ValueError(f"\x00 and \udcff in column {frame.columns[0]}")

    bench.declare(broken)
    run = bench.run()
    assert run.state is RunState.FAILED
    assert "\\u0000 and \\udcff in column body" in (run.error or "")
    assert "\\u0000" in step_summary(run)["shard_errors"][0]

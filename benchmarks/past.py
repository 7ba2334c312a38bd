"""A ledger with a long past: the engine writes a few runs, and SQL repeats what it wrote.

So every row has what the engine would have written. At the end each pipeline really runs once more: it must find that
all of its records have an outcome.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql

from batchord.core.run.history import Actor, Way
from batchord.core.run.logs import AttemptName, LogLine, LogPart
from batchord.core.run.runs import Run, RunState
from batchord.flow.local import run_local
from batchord.flow.upkeep.audit import kept_audit
from batchord.wiring import ledger, log_store, parts
from benchmarks.stack import Stack

#: Pipelines that all read the same records, besides the one whose runs are repeated.
PIPELINES = 20
#: The predictions of a usual run. One record in ``_REJECTED`` is rejected.
PER_RUN = 100
#: The pipeline whose runs are repeated.
SAMPLE = "sample"
_REJECTED = 101
#: Records of the run that is repeated, with two rejections.
_SAMPLED = 2 * _REJECTED
_STATEMENTS = Path(__file__).with_name("statements")
_PIPELINE = """
from pathlib import Path
from batchord import FunctionModel, Pipeline, SqlSource
import pandas as pd

def lengths(frame):
    if Path({home!r}, "broken").exists():
        raise RuntimeError("the model is broken")
    if frame["body"].str.startswith("unreadable").any():
        raise ValueError("a record is unreadable")
    return pd.DataFrame({{"label": "long", "score": frame["body"].str.len() / 100}}, index=frame.index)

pipeline = Pipeline(
    {name!r},
    description="The length of each text.",
    source=SqlSource({query!r}, key="id", arrival="created_at"),
    model=FunctionModel(lengths, version="1"),
)
"""
_READ = "SELECT id, body, created_at FROM texts"
_READ_SOME = "SELECT id, body, created_at FROM texts WHERE id <= (SELECT most FROM past.sampled)"


@dataclass(frozen=True, kw_only=True)
class Past:
    """What was built."""

    runs: int
    predictions: int
    #: A run with one shard, and the one with the most.
    small_run: str
    large_run: str
    #: How many shards the large one has.
    shards: int


def build_past(stack: Stack, *, predictions: int, tell: Callable[[str], None] = print) -> Past:
    """Fills the empty ledger of ``stack`` with the runs of 30 days, of :data:`PER_RUN` records each.

    ``tell`` hears of each part. Raises RuntimeError if the engine finds a record without an outcome at the end.
    """
    each = predictions // PIPELINES * _REJECTED // (_REJECTED - 1)
    runs = max(predictions // PIPELINES // PER_RUN, 3)
    tell(f"records of {PIPELINES} pipelines: {each:,}")
    _execute(stack, "before", records=each)
    for number in range(PIPELINES):
        _declare(stack, f"p{number:02d}", _READ)
    tell("three real runs")
    samples = _sample(stack)
    tell(f"runs, steps, shards and attempts of {PIPELINES * runs:,} runs")
    _execute(stack, "runs", pipelines=PIPELINES, runs=runs, records=each, **samples)
    tell("predictions and rejections")
    _execute(stack, "outcomes", **samples)
    tell("tallies")
    ledger().tallies.tally_all()
    tell("one real run of each pipeline")
    for number in range(PIPELINES):
        _require_idle(f"p{number:02d}")
    return _past(stack)


def _declare(stack: Stack, name: str, query: str) -> None:
    stack.declare(name, _PIPELINE.format(name=name, query=query, home=str(stack.home)))


def _sample(stack: Stack) -> dict[str, str]:
    """The ids of a run with rejections, of one that failed, and of the one that then succeeded."""
    _declare(stack, SAMPLE, _READ_SOME)
    actor = Actor(user="operator", host="desk", way=Way.FLOWER)
    mended = run_local(parts(), pipeline=SAMPLE, actor=actor)
    stack.sql(sql.SQL("UPDATE past.sampled SET most = {}").format(sql.Literal(_SAMPLED + PER_RUN)))
    (stack.home / "broken").touch()
    failed = run_local(parts(), pipeline=SAMPLE)
    (stack.home / "broken").unlink()
    after = run_local(parts(), pipeline=SAMPLE)
    _require(mended, RunState.SUCCEEDED, _SAMPLED)
    _require(failed, RunState.FAILED, PER_RUN)
    _require(after, RunState.SUCCEEDED, PER_RUN)
    kept_audit(parts(), pipeline=SAMPLE)
    lines = tuple(
        LogLine(time=datetime.now(UTC), level="INFO", source="stdout", message=f"batch {number}") for number in range(5)
    )
    name = AttemptName(mended.id, "predict", 0, 1)
    log_store().append(LogPart(attempt=name, part=0, worker="desk:1", lines=lines))
    return {"good": mended.id, "failed": failed.id, "mended": after.id}


def _require(run: Run, state: RunState, discovered: int) -> None:
    if (run.state, run.discovered) != (state, discovered):
        raise RuntimeError(f"A run to repeat ended as {run.state} with {run.discovered} records: {run.error}")


def _require_idle(pipeline: str) -> None:
    run = run_local(parts(), pipeline=pipeline)
    if run.state is not RunState.SUCCEEDED or run.discovered:
        raise RuntimeError(f"{pipeline} ended as {run.state} with {run.discovered} records that had no outcome")


def _execute(stack: Stack, name: str, **values: int | str) -> None:
    """Runs a file of statements; its ``{names}`` become literals."""
    text = sql.SQL((_STATEMENTS / f"{name}.sql").read_text(encoding="utf-8"))  # type: ignore[arg-type]
    stack.sql(text.format(**{key: sql.Literal(value) for key, value in values.items()}))
    stack.sql("VACUUM (ANALYZE)")


def _past(stack: Stack) -> Past:
    ((runs,),) = stack.sql("SELECT count(*) FROM batchord.runs")
    ((predictions,),) = stack.sql("SELECT count(*) FROM batchord.predictions")
    ((large, shards),) = stack.sql("SELECT id::text, shards FROM past.runs ORDER BY shards DESC LIMIT 1")
    ((small,),) = stack.sql(
        "SELECT id::text FROM past.runs WHERE shards = 1 AND rejected > 0 ORDER BY created_at DESC LIMIT 1"
    )
    return Past(runs=runs, predictions=predictions, small_run=small, large_run=large, shards=shards)

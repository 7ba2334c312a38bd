"""A plan that cannot be made ends its run with a reason, and never stands in the way of the next."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from batchord import SklearnModel
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.run.messages import Message, ShardsReady, StepEnded, StepReady
from batchord.core.run.runs import RunState
from batchord.flow.begin.start import start_run
from batchord.flow.predict.plan import plan_step
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, length

#: Nothing listens there: the connection is refused at once.
NOBODY = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A table of three records."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(3)
        yield bench


def step_row(bench: Bench) -> tuple[str, int]:
    """State and attempts of the newest step."""
    ((state, attempt),) = bench.sql("SELECT state, attempt FROM batchord.steps ORDER BY run_id DESC LIMIT 1")
    return state, attempt


def broken_sources() -> list[tuple[SqlSource, str]]:
    """Sources that a person must correct, and the words that the run's error must contain."""
    return [
        (SqlSource("SELECT id FROM recrods", key="id"), 'relation "recrods" does not exist'),
        (SqlSource("SELECT id, FROM records", key="id"), "syntax error"),
        (SqlSource("SELECT body FROM records", key="id"), "key='id' is not a column of its query"),
        (
            SqlSource("SELECT id FROM records", key="id", arrival="created"),
            "arrival='created' is not a column of its query",
        ),
        (SqlSource("SELECT id FROM records", key="id", url_env="NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE"),
    ]


@pytest.mark.parametrize(("source", "said"), broken_sources(), ids=lambda value: value if type(value) is str else "")
def test_a_source_that_cannot_be_read_fails_the_run_by_name(bench: Bench, source: SqlSource, said: str) -> None:
    """The run ends at once, its error names step and cause, and the mended pipeline's next run does all."""
    bench.declare(source=source)
    failed = bench.run()
    assert failed.state is RunState.FAILED
    assert failed.error is not None
    assert failed.error.startswith(f"step {STEP}: ")
    assert said in failed.error
    bench.declare()
    assert bench.run().state is RunState.SUCCEEDED
    bench.assert_exactly_once()


def test_a_missing_model_fails_the_run_by_name(bench: Bench, tmp_path: Path) -> None:
    """No shard is planned for a model that is not there."""
    location = str(tmp_path / "nowhere" / "model.skops")
    bench.declare(SklearnModel(location, features=["id"]))
    failed = bench.run()
    assert failed.state is RunState.FAILED
    assert location in (failed.error or "")
    assert bench.value("SELECT count(*) FROM batchord.shards") == 0
    bench.declare()
    assert bench.run().predicted == 3


def test_a_source_that_does_not_answer_is_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step is given back with the reason, and planned as soon as the source is there."""
    monkeypatch.setenv("RECORDS_URL", NOBODY)
    bench.declare(source=replace(RECORDS, url_env="RECORDS_URL"))
    run = bench.started()
    with pytest.raises(TransientError, match="refused"):
        plan_step(bench.parts(), run_id=run.id, step=STEP)
    assert step_row(bench) == ("ready", 1)
    assert "refused" in bench.value("SELECT error FROM batchord.steps")
    monkeypatch.setenv("RECORDS_URL", bench.url)
    assert plan_step(bench.parts(), run_id=run.id, step=STEP) != []
    assert step_row(bench) == ("running", 2)


def test_a_source_that_never_answers_fails_the_run_in_the_end(bench: Bench) -> None:
    """After the last attempt the reason stands in the run."""
    bench.declare(source=replace(RECORDS, url=NOBODY))
    failed = bench.run(max_attempts=3)
    assert (failed.state, step_row(bench)) == (RunState.FAILED, ("failed", 3))
    assert "refused" in (failed.error or "")


def test_a_planner_that_loses_its_lease_meanwhile_plans_nothing(bench: Bench) -> None:
    """Another planner took over during its scan: it writes no shard, no frontier, and sends nothing."""
    bench.declare()
    run = bench.started()
    parts = bench.parts()
    others: list[Message] = []

    def overtaken(declared: SqlSource, window: tuple[datetime, datetime] | None) -> SourceReader:
        bench.expire_leases()
        others.extend(plan_step(parts, run_id=run.id, step=STEP))
        return parts.open_source(declared, window)

    assert plan_step(replace(parts, open_source=overtaken), run_id=run.id, step=STEP) == []
    assert others == [ShardsReady(run_id=run.id, step=STEP, queue="table", indexes=(0,))]
    assert step_row(bench) == ("running", 2)
    assert bench.ledger.runs.get(run.id).discovered == 3


def test_a_step_is_planned_once_however_often_its_message_comes(bench: Bench) -> None:
    """The second delivery finds nothing to do."""
    bench.declare()
    run_id, _ = bench.planned()
    assert plan_step(bench.parts(), run_id=run_id, step=STEP) == []
    assert bench.value("SELECT count(*) FROM batchord.shards") == 1


def test_a_source_without_new_records_ends_its_step_without_shards(bench: Bench) -> None:
    """The second run over the same records has nothing to do, and says so."""
    bench.declare()
    bench.run()
    run_id, messages = bench.planned()
    assert messages == [StepEnded(run_id=run_id, step=STEP)]


def test_steps_wait_for_those_before_them(bench: Bench) -> None:
    """The second step starts when the first is done; each keeps its own predictions."""
    bench.catalog.pipelines[ITEMS] = Pipeline(
        ITEMS,
        steps=[
            Predict("first", source=RECORDS, model=length),
            Predict("second", source=RECORDS, model=length, after=("first",)),
        ],
    )
    run, messages = start_run(bench.parts(), pipeline=ITEMS, trigger="call")
    assert messages == [StepReady(run_id=run.id, step="first")]
    ended = bench.run_on(run.id, messages)
    assert (ended.state, ended.predicted) == (RunState.SUCCEEDED, 6)
    assert ended.summary is not None
    assert list(ended.summary["steps"]) == ["first", "second"]


def test_a_failed_step_stops_those_after_it_and_not_those_beside_it(bench: Bench) -> None:
    """The run is partial: the other steps predicted their records."""
    broken = SqlSource("SELECT id FROM recrods", key="id")
    bench.catalog.pipelines[ITEMS] = Pipeline(
        ITEMS,
        steps=[
            Predict("broken", source=broken, model=length),
            Predict("after", source=RECORDS, model=length, after=("broken",)),
            Predict("beside", source=RECORDS, model=length),
        ],
    )
    ended = bench.run()
    assert (ended.state, ended.predicted) == (RunState.PARTIAL, 3)
    states = dict(bench.sql("SELECT name, state FROM batchord.steps"))
    assert states == {"broken": "failed", "after": "upstream_failed", "beside": "done"}


def test_manual_runs_queue_and_each_does_what_is_left(bench: Bench) -> None:
    """Two more are started while one runs. Its end starts the second, and the end of that starts the third."""
    bench.declare()
    parts = bench.parts()
    first, messages = start_run(parts, pipeline=ITEMS, trigger="call")
    second, none_yet = start_run(parts, pipeline=ITEMS, trigger="call", request="2")
    third, _ = start_run(parts, pipeline=ITEMS, trigger="call", request="3")
    again, _ = start_run(parts, pipeline=ITEMS, trigger="call", request="3")
    assert (second.state, none_yet, again.id) == (RunState.QUEUED, [], third.id)
    bench.run_on(first.id, messages)
    runs = [bench.ledger.runs.get(run.id) for run in (first, second, third)]
    assert [(run.state, run.predicted) for run in runs] == [(RunState.SUCCEEDED, n) for n in (3, 0, 0)]
    assert runs[0].finished_at is not None
    assert runs[1].started_at is not None
    assert runs[0].finished_at < runs[1].started_at


def test_an_old_ledger_says_what_to_do(empty_database_url: str, tmp_path: Path) -> None:
    """Without the ledger's tables every verb names the command that makes them."""
    with Bench(empty_database_url, tmp_path) as bench:
        bench.declare()
        with pytest.raises(ConfigurationError, match="batchord migrate"):
            bench.run()

"""A source of an author's own kind in discovery, shards, the audit and the watch, with what its port leaves out."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batchord.core.declared.alerts import Alerts
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.sources import Source, SourceContext
from batchord.core.declared.steps import Predict
from batchord.core.reasons import LossCause
from batchord.core.run.runs import RunState
from batchord.flow.begin.preview import preview
from batchord.flow.begin.repair import repair_missing
from batchord.flow.upkeep.audit import audit
from batchord.flow.upkeep.watch import watch
from batchord.sources.listed import ListedReader, Record
from tests.integration.flow_parts import ITEMS, STEP, Bench, length

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Notes(Source):
    """Texts by the hour in which they arrived; each line of its file is one."""

    file: Path
    key: str = "hour"
    windowed: bool = False

    @property
    def uses_window(self) -> bool:
        """See the base class."""
        return self.windowed

    def open(self, context: SourceContext) -> SourceReader:
        """See the base class."""
        window = context.window  # given to a kind that reads it only: runs by hand have one

        def records() -> Iterator[Record]:
            hours = sorted(int(line) for line in self.file.read_text().split())
            for hour in hours:
                at = START + timedelta(hours=hour)
                if window is None or window[0] <= at < window[1]:
                    yield Record(hour, {"body": "x" * hour}, at)

        return ListedReader(records, key=self.key)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Parts over one test's database."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """Six records, at hours 10 to 60."""
    source = Notes(file=tmp_path / "notes", arrival="at")
    add(source, *range(10, 70, 10))
    return source


def add(source: Notes, *hours: int) -> None:
    """Records that arrive."""
    with source.file.open("a") as file:
        file.writelines(f"{hour}\n" for hour in hours)


def frontier(bench: Bench) -> Any:
    """The key at which the step's frontier stands; None where it has none."""
    return bench.value("SELECT (SELECT position ->> 1 FROM batchord.frontiers WHERE step = %s)", STEP)


def test_without_a_settling_time_every_run_reads_all_keys(bench: Bench, notes: Notes) -> None:
    """Nothing tells when a position is done with: what appears below others is predicted all the same."""
    bench.declare(source=notes, shard_rows=2)
    runs = [bench.run(), bench.run()]
    add(notes, 5, 70)
    runs.append(bench.run())

    assert [run.predicted for run in runs] == [6, 0, 2]
    assert frontier(bench) is None
    bench.assert_exactly_once([5, 10, 20, 30, 40, 50, 60, 70])
    assert audit(bench.parts(), pipeline=ITEMS)[0].clean


def test_with_a_settling_time_the_frontier_follows(bench: Bench, notes: Notes) -> None:
    """A run reads above it only; what appears below later is the audit's, and its repair's."""
    bench.declare(source=replace(notes, settle=timedelta(0)))
    runs = [bench.run(), bench.run()]
    assert frontier(bench) == "60"
    add(notes, 5, 70)
    runs.append(bench.run())
    found, examples = audit(bench.parts(), pipeline=ITEMS)

    assert [run.predicted for run in runs] == [6, 0, 1]
    assert (found.records, found.missing, examples) == (8, 1, {"missing": ["5"]})
    run, messages = repair_missing(bench.parts(), pipeline=ITEMS)
    assert bench.run_on(run.id, messages).predicted == 1
    assert audit(bench.parts(), pipeline=ITEMS)[0].clean


def test_a_record_of_the_future_does_not_take_the_frontier_along(bench: Bench, notes: Notes) -> None:
    """It is predicted as any other, and told of."""
    bench.declare(source=replace(notes, settle=timedelta(0)))
    future = int((datetime.now(UTC) - START) / timedelta(hours=1)) + 48
    add(notes, future)
    (step,) = preview(bench.parts(), pipeline=ITEMS)
    assert step.stray is not None
    assert f"The record {future} has the position" in step.stray
    runs = [bench.run(), bench.run()]

    assert [run.predicted for run in runs] == [7, 0]
    assert frontier(bench) == "60"


def test_an_edit_of_an_option_voids_the_frontier(bench: Bench, notes: Notes) -> None:
    """There may be other records than before."""
    bench.declare(source=replace(notes, settle=timedelta(0)))
    bench.run()
    bench.run()
    other = replace(notes, settle=timedelta(0), file=notes.file.with_name("others"))
    add(other, 1, 60, 61)
    bench.declare(source=other)

    assert bench.run().predicted == 2


def test_a_shard_that_loses_its_workers_is_halved(bench: Bench, notes: Notes) -> None:
    """The positions of a range are all that it takes."""
    bench.declare(source=notes)
    run_id, messages = bench.planned()
    for _ in range(2):
        bench.claim(run_id)
        assert bench.ledger.shards.lose(run_id, STEP, 0, worker="test:1", cause=LossCause.ENDED, error="killed")

    assert bench.run_on(run_id, messages).predicted == 6
    assert bench.column("SELECT planned FROM batchord.shards WHERE index > 0 ORDER BY index") == [3, 3]
    bench.assert_exactly_once(range(10, 70, 10))


def test_a_kind_that_reads_windows_has_no_frontier(bench: Bench, notes: Notes) -> None:
    """Runs by hand read from where the last one ended; the audit looks at all of time."""
    bench.declare(source=replace(notes, windowed=True, settle=timedelta(0)))
    runs = [bench.run(), bench.run()]

    assert [run.predicted for run in runs] == [6, 0]
    assert frontier(bench) is None
    assert audit(bench.parts(), pipeline=ITEMS)[0].clean


def test_a_source_that_cannot_be_read_is_in_no_other_pipelines_way(bench: Bench, notes: Notes) -> None:
    """Not where it opens either: its run fails by name, and the watch goes on."""

    @dataclass(frozen=True)
    class Broken(Notes):
        def open(self, context: SourceContext) -> SourceReader:
            raise LookupError(f"no driver for {self.file.name} in {context.window}")

    alerts = Alerts(max_record_age=timedelta(hours=1))
    for name, source in (("broken", Broken(file=notes.file, arrival="at")), ("sound", notes)):
        steps = [Predict(STEP, source=source, model=length)]
        bench.catalog.pipelines[name] = Pipeline(name, steps=steps, alerts=alerts)

    watch(bench.parts())
    run = bench.run("broken")

    assert run.state is RunState.FAILED
    assert "LookupError: no driver for notes" in (run.error or "")
    assert bench.column("SELECT pipeline FROM batchord.alerts WHERE kind = 'record-age'") == ["sound"]
    assert "LookupError" in audit(bench.parts(), pipeline="broken")[0].not_audited[STEP]

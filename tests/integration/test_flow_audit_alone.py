"""A source that cannot be audited is a result of its own, and ends the audit of no other."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import TransientError
from batchord.flow.parts import Parts
from batchord.flow.upkeep.audit import audit, audit_all
from batchord.ledger import Ledger
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import RECORDS, STEP, Bench, length

BROKEN = SqlSource("SELECT id, body FROM no_such_table", key="id")
AWAY = SqlSource("SELECT id, body FROM records", key="id", url="postgresql://nobody:s3cret-word@127.0.0.1:9/x")


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline last in the alphabet that misses one of its ten records."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(10)
        bench.declare(name="z-good")
        bench.run("z-good")
        bench.run("z-good")
        bench.forget("3", pipeline="z-good")
        yield bench


def alerts(bench: Bench) -> list[tuple[str, str]]:
    """The alerts of each pipeline."""
    return [(row[0], row[1]) for row in bench.sql("SELECT pipeline, title FROM batchord.alerts ORDER BY pipeline")]


@pytest.mark.parametrize(("source", "why"), [(BROKEN, "no_such_table"), (AWAY, "refused")], ids=["broken", "away"])
def test_the_daily_audit_goes_on_behind_a_source_that_it_cannot_read(bench: Bench, source: SqlSource, why: str) -> None:
    """The next pipeline in the alphabet is still repaired. Both get an alert."""
    bench.declare(name="a-bad", source=source)
    messages = [message for sent in audit_all(bench.parts()) for message in sent]
    assert alerts(bench) == [
        ("a-bad", f"a-bad: the audit could not check step {STEP}"),
        ("z-good", "z-good: the audit found missing or duplicated records"),
    ]
    told = bench.value("SELECT message FROM batchord.alerts WHERE pipeline = 'a-bad'")
    assert why in told
    assert "s3cret-word" not in told
    repair = bench.value("SELECT id::text FROM batchord.runs WHERE kind = 'repair'")
    bench.run_on(repair, messages)
    assert audit(bench.parts(), pipeline="z-good")[0].clean


def test_what_is_not_foreseen_ends_no_audit_either(bench: Bench) -> None:
    """An adapter may raise anything."""

    def opened(declared: SqlSource, window: Any) -> Any:
        if declared == BROKEN:
            raise RuntimeError("a bug")
        return bench.parts().open_source(declared, window)

    bench.declare(name="a-bad", source=BROKEN)
    parts: Parts = replace(bench.parts(), open_source=opened)
    assert len(list(audit_all(parts))) == 2
    found, _ = audit(parts, pipeline="a-bad")
    assert found.not_audited == {STEP: "RuntimeError: a bug"}
    assert not found.clean


def test_the_other_steps_of_a_pipeline_are_audited(bench: Bench) -> None:
    """Counts from before the error are not added to those of the other steps."""
    steps = [Predict(STEP, source=RECORDS, model=length), Predict("bad", source=BROKEN, model=length)]
    bench.catalog.pipelines["z-good"] = Pipeline("z-good", steps=steps)
    found, examples = audit(bench.parts(), pipeline="z-good")
    assert (found.records, found.predicted, found.missing) == (10, 9, 1)
    assert examples == {"missing": ["3"]}
    assert list(found.not_audited) == ["bad"]


def test_a_ledger_that_is_away_is_not_an_audit_result(bench: Bench) -> None:
    """The task is tried again then, as any other."""
    away = Ledger("postgresql://nobody@127.0.0.1:9/x", wait_seconds=1)
    unreachable = replace(bench.parts(), ledger=away)
    with pytest.raises(TransientError):
        list(audit_all(unreachable))


def test_the_command_shows_all_and_exits_with_1(settings_env: dict[str, str], tmp_path: Path) -> None:
    """The broken one is named, the others are audited."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "both.py").write_text(
        "from batchord import Pipeline, SqlSource\n"
        "def length(frame):\n    return frame['body'].str.len()\n"
        "a = Pipeline('a-bad', source=SqlSource('SELECT id FROM no_such_table', key='id'), model=length)\n"
        "b = Pipeline('b-good', source=SqlSource('SELECT 1 AS id', key='id'), model=length)\n"
    )
    command = [Path(sys.executable).parent / "batchord", "audit", "--json"]
    environment = os.environ | settings_env | {"BATCHORD_PIPELINES": str(tmp_path / "pipelines")}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    found = json.loads(ended.stdout)
    assert "no_such_table" in found["a-bad"]["not_audited"]["predict"]
    assert found["b-good"]["pending"] == 1
    assert found["b-good"]["not_audited"] == {}

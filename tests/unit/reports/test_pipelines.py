"""What files declare, when pipelines run next, what audits found, and how the stack is."""

from datetime import UTC, datetime, timedelta

import pytest

from batchord.catalog import Problem
from batchord.catalog.reading import Loaded
from batchord.core.calendar.schedules import every
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError
from batchord.core.run.history import Actor, Way
from batchord.flow.upkeep.switch import pause, reschedule
from batchord.ledger import Ledger
from batchord.reports.audits import Verdict, audits
from batchord.reports.pipelines import declared_pipelines, pipelines_now
from batchord.reports.schedules import schedules
from batchord.reports.stack import ProcessReport, ServerReport, StackReport
from tests.integration.flow_parts import RECORDS, Bench, length
from tests.integration.graph_parts import Calls, scoring

ADA = Actor(user="ada", host="desk", way=Way.COMMAND)


def test_pipelines_are_sorted_and_say_what_they_are() -> None:
    """With the problems of all files."""
    steps = [scoring(), Calls().step("report", "score")]
    loaded = Loaded(
        pipelines={"b": Pipeline("b", steps=steps, schedule=every(hours=1)), "a": Pipeline("a", steps=[scoring()])},
        files={"a": "one.py", "b": "one.py"},
        problems=[Problem(file="two.py", pipeline=None, what="it cannot be read")],
    )

    report = declared_pipelines(loaded)

    assert [(each.name, each.when) for each in report.pipelines] == [("a", "by hand"), ("b", "every hour")]
    fields = report.as_json()
    assert fields["problems"] == [{"file": "two.py", "pipeline": None, "what": "it cannot be read", "line": None}]
    assert fields["pipelines"][0]["schedule"] is None
    assert fields["pipelines"][1]["steps"] == [
        {"name": "score", "kind": "predict", "after": [], "model": "FunctionModel"},
        {"name": "report", "kind": "python", "after": ["score"], "model": None},
    ]


def test_a_schedule_says_when_and_who_set_it(bench: Bench) -> None:
    """Three next times, of the switched schedule where there is one."""
    bench.catalog.pipelines["hourly"] = Pipeline("hourly", steps=[scoring()], schedule=every(hours=1))
    bench.declare()
    before = schedules(bench.parts(), ["hourly", "items"])
    reschedule(bench.parts(), pipeline="hourly", schedule=every(minutes=10))
    pause(bench.parts(), pipeline="hourly", paused=True)
    after = schedules(bench.parts(), ["hourly"])["hourly"]

    hourly, items = before["hourly"], before["items"]
    assert (hourly.when, hourly.set_by, hourly.switched) == ("every hour", "its file", False)
    assert (items.when, items.schedule, items.next) == ("by hand", None, [])
    first, second, third = hourly.next
    assert (second - first, third - second) == (timedelta(hours=1), timedelta(hours=1))
    assert first > datetime.now(UTC) - timedelta(minutes=1)
    assert (after.when, after.paused) == ("every 10 minutes", True)
    assert after.set_by == "this command; its file says every hour"


def test_pipelines_say_what_people_switched(bench: Bench) -> None:
    """Who paused one and when, which schedule was set by hand, and the next slot. Asking writes nothing."""
    bench.catalog.pipelines["hourly"] = Pipeline("hourly", steps=[scoring()], schedule=every(hours=1))
    bench.catalog.pipelines["new"] = Pipeline("new", steps=[scoring()], schedule=every(hours=1))
    bench.declare()
    loaded = Loaded(pipelines=bench.catalog.pipelines, files=dict.fromkeys(bench.catalog.pipelines, "one.py"))
    person = Actor(user="ada", host="web-1", way=Way.COMMAND)
    pause(bench.parts(), pipeline="items", paused=True, actor=person)
    reschedule(bench.parts(), pipeline="hourly", schedule=every(minutes=10))

    report = pipelines_now(loaded, lambda: bench.ledger)

    hourly, items, new = report.pipelines
    assert (hourly.when, hourly.switched, hourly.file_says) == ("every 10 minutes", "every 10 minutes", "every hour")
    assert hourly.next is not None
    assert hourly.next - datetime.now(UTC) <= timedelta(minutes=10)
    assert (items.paused_by, items.next, items.when) == ("ada on web-1", None, "by hand")
    assert items.paused_at is not None
    assert (new.paused_at, new.switched) == (None, None)
    assert new.next is not None
    assert report.unknown_because is None
    assert bench.column("SELECT name FROM batchord.pipelines ORDER BY name") == ["hourly", "items"]


def test_pipelines_are_listed_without_a_ledger() -> None:
    """The report says what it could not find out."""
    loaded = Loaded(
        pipelines={"hourly": Pipeline("hourly", steps=[scoring()], schedule=every(hours=1))}, files={"hourly": "a.py"}
    )

    def away() -> Ledger:
        raise ConfigurationError("no database is configured")

    report = pipelines_now(loaded, away)

    assert report.unknown_because == "no database is configured"
    assert [(each.name, each.next is None, each.paused_at) for each in report.pipelines] == [("hourly", False, None)]


def test_an_audit_of_several_steps_names_each(bench: Bench) -> None:
    """Both steps have the same records, so a sum would count each record twice."""
    bench.insert(3)
    steps = [Predict(name, source=RECORDS, model=length) for name in ("long", "short")]
    bench.catalog.pipelines["items"] = Pipeline("items", steps=steps)
    bench.run()
    bench.forget("2", step="short")

    (report,) = audits(bench.parts(), ["items"], actor=ADA)

    assert [(step, counts.records, counts.predicted) for step, counts in report.rows] == [
        ("long", 3, 3),
        ("short", 3, 2),
    ]
    steps_json = report.as_json()["steps"]
    assert [steps_json[step]["records"] for step in ("long", "short")] == [3, 3]
    assert report.counts.missing + report.counts.pending == 1


def test_an_audit_has_a_verdict(bench: Bench) -> None:
    """Clean; not clean; or not audited, which says nothing against the records."""
    bench.insert(3)
    bench.declare()
    bench.run()
    (clean,) = audits(bench.parts(), ["items"], actor=ADA)
    bench.sql(
        "INSERT INTO batchord.rejections (pipeline, step, record_key, model_version, reason, detail, attempts, run_id, "
        "shard) SELECT pipeline, step, record_key, model_version, 'odd', '', 1, run_id, shard "
        "FROM batchord.predictions WHERE record_key = '1'"
    )
    (twice,) = audits(bench.parts(), ["items"], actor=ADA)
    bench.sql("ALTER TABLE records RENAME TO elsewhere")
    (away,) = audits(bench.parts(), ["items"], actor=ADA)

    assert [each.verdict for each in (clean, twice, away)] == [
        Verdict.CLEAN,
        Verdict.NOT_CLEAN,
        Verdict.NOT_AUDITED,
    ]
    assert (twice.counts.duplicated, twice.examples) == (1, {"duplicated": ["1"]})
    assert list(clean.as_json())[-3:] == ["missing", "duplicated", "not_audited"]


def stack(*, server: str = "running", usable: bool = True) -> StackReport:
    """One server and two processes."""
    return StackReport(
        servers=[ServerReport(name="postgres", state=server, pid=1, address=None)],
        processes=[
            ProcessReport(name="worker", state="running", pid=2, restarts=0, uptime=61.2),
            ProcessReport(name="flower", state="running", pid=3, restarts=0, uptime=1.0),
        ],
        flower="http://127.0.0.1:5555",
        problems=[],
        remarks=[],
        database_usable=usable,
    )


@pytest.mark.parametrize(
    ("report", "well"),
    [(stack(), True), (stack(server="stopped"), False), (stack(usable=False), False)],
)
def test_a_stack_is_well_when_all_of_it_is(report: StackReport, *, well: bool) -> None:
    """Servers, processes, database and files."""
    assert report.well is well
    assert report.started
    fields = report.as_json()
    assert list(fields) == ["servers", "processes", "flower", "problems", "remarks", "lost_supervisor", "well"]


@pytest.mark.parametrize(
    ("state", "uptime", "text"),
    [
        ("running", 61.2, "61 s"),
        ("running", 125, "2 min"),
        ("running", 7199, "119 min"),
        ("running", 7200, "2 h"),
        ("running", 3 * 86_400, "3 d"),
        ("waiting", 0, None),
    ],
)
def test_a_process_says_how_long_it_has_run(state: str, uptime: float, text: str | None) -> None:
    """In the largest unit that says enough."""
    assert ProcessReport(name="beat", state=state, pid=2, restarts=1, uptime=uptime).running_for == text
    report = stack()
    assert [report.flower_at(each) for each in report.processes] == [None, "http://127.0.0.1:5555"]

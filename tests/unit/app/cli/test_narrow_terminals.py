"""What people copy from tables stays whole on a terminal of 80 columns."""

import io
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import history, output, switches, upkeep
from app.cli.terminal import Terminal
from batchord.core.run.runs import Kind, Run, RunState
from batchord.reports.schedules import ScheduleReport

RUN_ID = "01970000-0000-7000-8000-000000000001"
SHORT = RUN_ID[:8]
SLOT = datetime.now(UTC).replace(month=3, day=1, hour=12, minute=30, second=0, microsecond=0)
SLOT_SAID = f"{SLOT.astimezone():%m-%d %H:%M:%S}"
ERROR = "ValueError: the price list of the warehouse has no column of that name, so nothing can be joined with it"
RUN = Run(
    id=RUN_ID,
    pipeline="warehouse-reviews",
    kind=Kind.SCHEDULED,
    trigger="after warehouse",
    slot=SLOT,
    state=RunState.SUCCEEDED,
    discovered=1_234_567,
    predicted=1_234_500,
    rejected=67,
    full_scan=False,
    rerun_of=None,
    window_start=None,
    window_end=None,
    models={},
    params={},
    summary=None,
    error=None,
    created_at=SLOT,
    started_at=SLOT,
    finished_at=SLOT + timedelta(seconds=1234),
)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 80 columns gets. The ledger is a configured one, so no command starts a server."""
    monkeypatch.setenv("BATCHORD_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    written = io.StringIO()
    console = Terminal(width=80, file=written)
    for module in (output, history, upkeep, switches):
        monkeypatch.setattr(module, "console", console)
    return written


def _answers() -> None:
    """The ledger's database is there."""


def ledger_of(monkeypatch: pytest.MonkeyPatch, **reports: Any) -> None:
    """A ledger that reports these."""
    found = SimpleNamespace(**{name: lambda *_, _found=found, **__: _found for name, found in reports.items()})
    names = SimpleNamespace(
        latest=lambda _: None,
        between=lambda *_: [RUN],
        neighbours=lambda _: ([{"id": RUN_ID, "lesser": None, "greater": None}], SLOT),
    )
    resets = SimpleNamespace(times=lambda _: {})
    monkeypatch.setattr(
        "batchord.wiring.ledger", lambda: SimpleNamespace(check=_answers, reports=found, run_names=names, resets=resets)
    )


def step(**values: Any) -> dict[str, Any]:
    """A row of the ledger's steps."""
    row = {"name": "join_prices", "kind": "python", "after": ["read_catalog", "read_prices"], "state": "ready"}
    row |= {"attempt": 0, "queue": "gpu", "reused": False, "output": None, "error": None, "join_rule": "all_done_ok"}
    return row | {"started_at": None, "planned_at": None, "finished_at": None, "worker": None} | values


def printed(screen: io.StringIO) -> str:
    """All of it; no line is longer than the terminal."""
    text = screen.getvalue()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    return text


def test_runs(monkeypatch: pytest.MonkeyPatch, screen: io.StringIO) -> None:
    """Id, state and slot, and no header in two lines."""
    ledger_of(monkeypatch, runs=[RUN], counts=[])
    assert CliRunner().invoke(history.runs, []).exit_code == 0
    title, header, row = printed(screen).splitlines()
    assert (title.strip(), header.split()[:4]) == ("Runs", ["run", "pipeline", "slot", "state"])
    for whole in (SHORT, RUN.pipeline, SLOT_SAID, "succeeded", "1,234,500"):
        assert whole in row


def test_a_run_with_several_predict_steps_adds_up_no_records(
    monkeypatch: pytest.MonkeyPatch, screen: io.StringIO
) -> None:
    """Both steps may have the same records: each has its own counts, in the list as in the run itself."""
    counts = [
        {"run_id": RUN_ID, "step": step, "discovered": 1000, "predicted": predicted, "rejected": 1000 - predicted}
        for step, predicted in (("mood", 1000), ("topic", 990))
    ]
    copies = [[dict(row) for row in counts] for _ in range(2)]
    ledger_of(monkeypatch, runs=[RUN], steps=[], shards=[], attempts=[], counts=copies[0])
    assert CliRunner().invoke(history.runs, []).exit_code == 0
    ledger_of(monkeypatch, runs=[RUN], steps=[], shards=[], attempts=[], counts=copies[1])
    assert CliRunner().invoke(history.show, [RUN_ID]).exit_code == 0
    text = printed(screen)
    for whole in ("1,000 + 990", "step mood: discovered 1,000 = predicted 1,000 + rejected 0", "Each Predict step"):
        assert whole in text
    assert "step topic: discovered 1,000 = predicted 990 + rejected 10" in text
    assert "1,234,500" not in text


def test_a_time_of_another_year_has_its_year() -> None:
    """And a time to come has the offset of the reader's zone, and seconds only if it does not begin with a minute."""
    other = SLOT.replace(year=SLOT.year + 1).astimezone()
    assert output.cell(SLOT) == SLOT_SAID
    assert output.cell(other) == f"{other:%Y-%m-%d %H:%M:%S}"
    assert output.with_offset(other) == f"{other:%Y-%m-%d %H:%M} {other.isoformat()[-6:]}"
    odd = other.replace(second=7)
    assert output.with_offset(odd) == f"{odd:%Y-%m-%d %H:%M:%S} {odd.isoformat()[-6:]}"


def test_show(monkeypatch: pytest.MonkeyPatch, screen: io.StringIO) -> None:
    """States, times and names; an error is folded and shown to its end."""
    attempt = {"step": "join_prices", "shard": None, "attempt": 2, "state": "handed back", "worker": "machine-12:34567"}
    attempt |= {"started_at": SLOT, "finished_at": SLOT, "begun_at": None, "error": ERROR}
    shard = {"step": "predict_prices", "index": 12, "state": "succeeded", "planned": 12345, "predicted": 12345}
    shard |= {"rejected": 1, "attempt": 1, "worker": "machine-12:34567", "error": f"{ERROR} either"}
    shard |= {"discovered": 12346, "timings": {}, "started_at": SLOT, "finished_at": SLOT}
    steps = [step(state="upstream_failed", error=ERROR)]
    ledger_of(monkeypatch, steps=steps, shards=[shard], attempts=[attempt], counts=[])
    assert CliRunner().invoke(history.show, [RUN_ID]).exit_code == 0
    text = printed(screen)
    for whole in (RUN_ID, "upstream_failed", "handed back", "succeeded", "join_prices", "predict_prices", SLOT_SAID):
        assert whole in text


def test_alerts(monkeypatch: pytest.MonkeyPatch, screen: io.StringIO) -> None:
    """It shows the error, not the traceback line that repeats the row, and the id in the form that commands accept."""
    alert = {"created_at": SLOT, "kind": "run-failed", "pipeline": "warehouse", "run_id": RUN_ID, "attempts": 1}
    alert |= {"event": "run-failed:1", "title": "warehouse failed"}
    alert |= {"closed_at": None, "error": None, "receivers": 0}
    look = f"Look closer: batchord show {RUN_ID}"
    failed = {**alert, "message": f"Run {RUN_ID} of warehouse ended as failed.\nit broke\n{look}"}
    limit = {**alert, "kind": "rejection-limit", "message": f"Step s of run {RUN_ID}: 9 of 10\n{look}"}
    ledger_of(monkeypatch, alerts=[failed, limit])
    assert CliRunner().invoke(upkeep.alerts, []).exit_code == 0
    text = printed(screen)
    assert text.count(SHORT) == 3
    assert "it broke" in text
    assert "9 of 10" in " ".join(text.split())
    assert "ended as failed" not in text
    assert "Look" not in text
    assert text.count(SLOT_SAID) == 2


def test_schedule(monkeypatch: pytest.MonkeyPatch, screen: io.StringIO) -> None:
    """Each of the next times."""
    slots = [SLOT + timedelta(hours=hours) for hours in range(3)]
    report = ScheduleReport(
        schedule="FREQ=WEEKLY;BYDAY=MO,TU,WE;BYHOUR=9 in Europe/Berlin",
        file="by hand",
        switched=True,
        paused=False,
        next=slots,
    )
    monkeypatch.setattr(switches, "schedules", lambda *_: {"warehouse-reviews": report})
    monkeypatch.setattr("batchord.wiring.parts", SimpleNamespace)
    monkeypatch.setattr("batchord.wiring.ledger", lambda: SimpleNamespace(check=_answers))
    catalog = SimpleNamespace(names=lambda: ["warehouse-reviews"], get=lambda _: None)
    monkeypatch.setattr("batchord.wiring.catalog", lambda: catalog)
    result = CliRunner().invoke(switches.schedule, [])
    assert result.exit_code == 0, result.exception
    text = printed(screen)
    for slot in slots:
        assert f"{slot.astimezone():%m-%d %H:%M} " in text
    assert "warehouse-reviews" in text


def test_what_fits_nowhere_is_folded_and_not_cut_off(screen: io.StringIO) -> None:
    """As every column was before."""
    output.table("Long", ("run", "state"), [("x" * 90, "done")], empty="")
    assert printed(screen).count("x") == 90


def test_control_characters_are_visible(screen: io.StringIO) -> None:
    """Those of an author's error as those of a record."""
    output.table("Errors", ("error",), [("\x1b[2J[red]\x9b1m\ud800",)], empty="")
    assert r"\x1b[2J[red]\x9b1m\ud800" in printed(screen)


def test_a_run_that_predicts_nothing_has_no_counts(screen: io.StringIO) -> None:
    """A run whose Predict step found no records does have them: they are zero."""
    idle = {**vars(RUN), "discovered": 0, "predicted": 0, "rejected": 0}
    history.print_run(Run(**{**idle, "summary": {"steps": {}}}))
    assert "discovered" not in screen.getvalue()
    history.print_run(Run(**{**idle, "summary": {"steps": {"predict": None}}}))
    assert "discovered 0 = predicted 0 + rejected 0" in screen.getvalue()

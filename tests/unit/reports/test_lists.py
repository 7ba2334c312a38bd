"""Rejections, changes and alerts: the newest first, with the ledger's fields."""

from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest

from batchord.core.run.alerts import AlertKind, NewAlert
from batchord.core.run.history import Actor, Way
from batchord.flow.upkeep.switch import pause
from batchord.reports.alerts import AlertReport, Delivery, newest_alerts
from batchord.reports.changes import newest_changes
from batchord.reports.rejections import newest_rejections
from tests.integration.flow_parts import STEP, Bench

RUN_ID = "01970000-0000-7000-8000-000000000001"


def picky(frame: pd.DataFrame) -> "pd.Series[float]":
    """No score for the shortest text."""
    return frame["body"].str.len().where(frame["body"].str.len() > 1).astype(float)


def test_rejections_have_the_ledgers_fields(bench: Bench) -> None:
    """By pipeline, reason and run."""
    bench.insert(3)
    bench.sql("UPDATE records SET body = NULL WHERE id = 2")
    bench.declare(lambda frame: frame["body"].str.len(), name="texts")
    bench.declare(picky)
    run = bench.run()

    reports = newest_rejections(bench.ledger, run_id=run.id, limit=10)

    assert {report.key for report in reports} >= {"1"}
    (first,) = newest_rejections(bench.ledger, pipeline="items", reason=reports[0].reason, limit=1)
    assert first.run_id == run.id
    assert {each.step for each in newest_rejections(bench.ledger, step=STEP, limit=10)} == {STEP}
    assert newest_rejections(bench.ledger, step="other", limit=10) == []
    assert newest_rejections(bench.ledger, reason="killed-worker", limit=10) == []
    fields = ["pipeline", "step", "key", "reason", "detail", "attempts", "model_version", "run_id", "rejected_at"]
    assert list(asdict(first)) == fields


def test_changes_say_who_made_them(bench: Bench) -> None:
    """In a form for programs and one for people."""
    bench.declare()
    anna = Actor(user="anna", host="desk", way=Way.COMMAND)
    pause(bench.parts(), pipeline="items", paused=True, actor=anna)
    pause(bench.parts(), pipeline="items", paused=False, actor=anna)

    changes = newest_changes(bench.ledger, limit=10)

    assert [(each.action, each.user, each.host, each.way) for each in changes] == [
        ("resume", "anna", "desk", "command"),
        ("pause", "anna", "desk", "command"),
    ]
    bench.sql("""UPDATE batchord.history SET detail = '{"range": [1, 2]}'""")
    assert newest_changes(bench.ledger, limit=1)[0].detail_text({}) == "range [1, 2]"


@pytest.mark.parametrize(
    ("action", "detail", "said"),
    [
        ("run", '{"trigger": "cli"}', "on workers"),
        ("run", '{"params": {"day": 1}, "trigger": "local"}', 'params {"day": 1}, with --local'),
        ("run", '{"trigger": "nightly-import"}', "trigger nightly-import"),
        ("run", '{"trigger": ["cli"]}', 'trigger ["cli"]'),
        ("rerun", f'{{"of": "{RUN_ID}", "failed": true}}', f"of run {RUN_ID[:8]}, the failed steps"),
        ("rerun", f'{{"of": "{RUN_ID}", "from": "load"}}', f"of run {RUN_ID[:8]}, from load"),
        ("retry", '{"keys": ["1", "a b"]}', "keys 1, a b"),
        ("reset", '{"steps": ["score"]}', "steps score"),
    ],
)
def test_details_are_told_in_words(bench: Bench, action: str, detail: str, said: str) -> None:
    """Ids as people write them; a trigger says where the run works."""
    bench.declare()
    pause(bench.parts(), pipeline="items", paused=True, actor=Actor(user="anna", host="desk", way=Way.COMMAND))
    bench.sql("UPDATE batchord.history SET action = %s, detail = %s", action, detail)
    (change,) = newest_changes(bench.ledger, limit=1)
    assert change.detail_text({RUN_ID: RUN_ID[:8]}) == said
    assert change.repeats == (RUN_ID if action == "rerun" else None)


def keep(bench: Bench, event: str, message: str, run_id: str | None = None) -> None:
    """An alert that nobody has sent yet."""
    alert = NewAlert(
        event=event, kind=AlertKind.RUN_FAILED, pipeline="items", title=event, message=message, run_id=run_id
    )
    assert bench.ledger.alerts.keep(alert)


@pytest.mark.parametrize(
    ("columns", "delivery"),
    [
        ("attempts = 0", Delivery.WAITS),
        ("attempts = 1, error = 'refused'", Delivery.SENT_AGAIN),
        ("attempts = 9, error = 'refused', closed_at = now()", Delivery.GIVEN_UP),
        ("attempts = 1, closed_at = now()", Delivery.NO_RECEIVERS),
        ("""attempts = 1, closed_at = now(), sent = '{"a": 1, "b": 2}'""", Delivery.SENT),
    ],
)
def test_an_alert_says_what_became_of_it(bench: Bench, columns: str, delivery: Delivery) -> None:
    """Of what the ledger keeps of its receivers."""
    keep(bench, "one", "it broke")
    bench.sql(f"UPDATE batchord.alerts SET {columns}")  # noqa: S608

    (alert,) = newest_alerts(bench.ledger, limit=10)

    assert alert.delivery is delivery
    assert alert.receivers == (2 if delivery is Delivery.SENT else 0)


def test_the_gist_of_an_alert_is_what_is_wrong(bench: Bench) -> None:
    """Not the line that repeats its run and state, nor the one that says where to look."""
    bench.declare()
    run = bench.run()
    look = f"Look closer: batchord show {run.id}"
    keep(bench, "failed", f"Run {run.id} of items ended as failed.\nit broke\n{look}", run.id)
    keep(bench, "limit", f"Step s of run {run.id}: 9 of 10\n{look}", run.id)

    gists = {alert.event: alert.gist("0197") for alert in newest_alerts(bench.ledger, pipeline="items", limit=10)}

    assert gists == {"failed": "it broke", "limit": "Step s of run 0197: 9 of 10"}


def test_programs_get_the_alert_as_the_ledger_has_it(bench: Bench) -> None:
    """The run by its id as a text."""
    bench.declare()
    run = bench.run()
    keep(bench, "failed", "it broke", run.id)
    (row,) = bench.ledger.reports.alerts()
    expected: dict[str, Any] = {**row, "run_id": str(row["run_id"])}

    (alert,) = newest_alerts(bench.ledger, limit=1)

    assert isinstance(alert, AlertReport)
    assert list(asdict(alert).items()) == list(expected.items())

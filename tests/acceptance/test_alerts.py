"""Failures are reported to people by webhook and by mail, without secrets."""

import json
from collections.abc import Iterator

import pytest

from tests.acceptance.cluster import Cluster
from tests.integration.receivers import MailServer, Webhook, closed_place
from tests.waiting import wait_until

_PASSWORD = "correct-horse-battery"  # noqa: S105 -- it must not be seen, and guards nothing
_FAILING = f"""
    from batchord import Alerts, Pipeline, Python

    def connect():
        raise ConnectionError("no answer from postgresql://reader:{_PASSWORD}@db.example/records")

    failing = Pipeline("failing", steps=[Python("connect", connect)], alerts=Alerts(urls_env="OUR_RECEIVERS"))
"""


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A receiver of webhooks."""
    with Webhook().serving() as webhook:
        yield webhook


@pytest.fixture
def mail() -> MailServer:
    """A mail server, not yet serving."""
    return MailServer(user="alerts", password=_PASSWORD)


def test_a_failing_pipeline_sends_a_webhook_and_a_mail(notes: Cluster, webhook: Webhook, mail: MailServer) -> None:
    """The message names the run, the cause and the remedy. The global receiver and the pipeline's own get it."""
    notes.pipeline("failing", _FAILING)
    with mail.serving() as place:
        notes.environment["BATCHORD_ALERT_URLS"] = f"json://hook:{_PASSWORD}@{webhook.place}/alerts"
        notes.environment["OUR_RECEIVERS"] = _mailto(place)
        notes.environment["BATCHORD_ALERT_REPORTS"] = "mail"
        notes.start("control", "worker")
        run = json.loads(notes.batchord("run", "failing", "--wait", "--json", check=False).stdout)
        wait_until(lambda: webhook.requests and mail.mails, description="both receivers are told")
        wait_until(
            lambda: notes.sql("SELECT id FROM batchord.alerts WHERE closed_at IS NOT NULL"),
            description="the alert is noted as sent",
        )
    (request,), (mailed,) = webhook.requests, mail.mails
    posted = json.loads(request.body)
    assert mailed.recipients == ["team@example.com"]
    text = mailed.message.get_body(("plain",))
    (report,) = mailed.message.iter_attachments()
    assert text is not None
    page = report.get_content()
    assert page.startswith("<!doctype html>")
    assert "ConnectionError: no answer from" in page
    assert _PASSWORD not in page
    assert posted["attachments"] == []
    for title, body in (
        (posted["title"], posted["message"]),
        (mailed.message["Subject"], text.get_content()),
    ):
        assert title == "[batchord] failing: run failed"
        assert run["id"] in body
        assert "ConnectionError: no answer from" in body
        assert f"batchord show {run['id']}" in " ".join(body.split())
        assert _PASSWORD not in title + body
    (alert,) = json.loads(notes.batchord("alerts", "--json").stdout)
    assert (alert["kind"], alert["pipeline"], alert["run_id"]) == ("run-failed", "failing", run["id"])
    assert "to 2" in notes.batchord("alerts").stdout
    for told in ("show", "logs"):
        assert _PASSWORD not in notes.batchord(told, run["id"], "--json").stdout
    assert not any(_PASSWORD in notes.log(name) for name in ("control", "worker"))


def test_receivers_are_tried_by_hand(notes: Cluster, webhook: Webhook, mail: MailServer) -> None:
    """``alerts --test`` sends to each receiver at once, and fails when one cannot be reached, without its secrets."""
    nobody = notes.batchord("alerts", "--test", check=False)
    assert nobody.returncode == 1
    assert "BATCHORD_ALERT_URLS" in nobody.stdout
    with mail.serving() as place:
        notes.environment["BATCHORD_ALERT_URLS"] = f"json://{webhook.place} {_mailto(place)}"
        assert [each["error"] for each in json.loads(notes.batchord("alerts", "--test", "--json").stdout)] == [None] * 2
    assert len(webhook.requests) == len(mail.mails) == 1
    notes.environment["BATCHORD_ALERT_URLS"] = f"json://{webhook.place} json://hook:{_PASSWORD}@{closed_place()}"
    failed = notes.batchord("alerts", "--test", check=False)
    assert failed.returncode == 1
    assert "did not take the message" in failed.stdout
    assert _PASSWORD not in failed.stdout + failed.stderr
    assert len(webhook.requests) == 2


def _mailto(place: str) -> str:
    return f"mailto://alerts:{_PASSWORD}@{place}/?from=batchord@example.com&to=team@example.com"

"""Drills of alerts: whichever process dies, each alert reaches each receiver and is one row of the ledger."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.drills.drill import Drill
from tests.integration.receivers import Webhook
from tests.waiting import wait_until

_FAILING = """
    from batchord import Pipeline, Python

    def fail():
        raise ValueError("the drill wants it so")

    failing = Pipeline("failing", steps=[Python("fail", fail)])
"""
_ALERTS = "SELECT kind, attempts, error, closed_at IS NOT NULL FROM batchord.alerts"


@pytest.fixture
def first() -> Iterator[Webhook]:
    """A receiver that refuses its first message, as while it is being restarted."""
    with Webhook(503).serving() as webhook:
        yield webhook


@pytest.fixture
def second() -> Iterator[Webhook]:
    """A receiver that takes all messages."""
    with Webhook().serving() as webhook:
        yield webhook


def test_a_sender_killed_before_it_noted_the_message_sends_it_again(drill: Drill, second: Webhook) -> None:
    """Of two receivers, the one that already has the message gets it twice, the other once."""
    _fail(drill, f"json://{second.place}/one json://{second.place}/two", fault="before-alert-noted=kill")
    drill.wait_until_fired("before-alert-noted")
    _wait_until_closed(drill)
    assert sorted(_paths(second)) == ["/one", "/one", "/two"]
    assert drill.cluster.sql(_ALERTS) == [("run-failed", 2, None, True)]


def test_a_receiver_that_was_down_gets_the_alert_when_it_is_back(drill: Drill, first: Webhook, second: Webhook) -> None:
    """The other receiver already has the message and does not get it again."""
    _fail(drill, f"json://{first.place} json://{second.place}")
    wait_until(
        lambda: drill.cluster.sql("SELECT id FROM batchord.alerts WHERE error LIKE '%503%'"),
        description="the first receiver has refused the message",
    )
    assert len(_paths(second)) == 1
    # As if the wait were over.
    drill.cluster.sql("UPDATE batchord.alerts SET due_at = clock_timestamp()")
    _wait_until_closed(drill)
    assert (len(_paths(first)), len(_paths(second))) == (2, 1)
    ((kind, attempts, _, closed),) = drill.cluster.sql(_ALERTS)
    assert (kind, attempts, closed) == ("run-failed", 2, True)


def _fail(drill: Drill, addresses: str, *, fault: str = "") -> None:
    drill.cluster.pipeline("failing", _FAILING)
    drill.cluster.start("control", "worker", "beat", faults={"control": fault}, BATCHORD_ALERT_URLS=addresses)
    drill.cluster.send("batchord.start_run", pipeline="failing")


def _wait_until_closed(drill: Drill) -> None:
    wait_until(
        lambda: drill.cluster.sql("SELECT id FROM batchord.alerts WHERE closed_at IS NOT NULL"),
        description="every receiver has the message",
    )


def _paths(webhook: Webhook) -> list[str]:
    return [urlsplit(request.path).path for request in webhook.requests]

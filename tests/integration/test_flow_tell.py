"""Each receiver gets each alert at least once, even if receivers are down or senders die."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchord.core.declared.alerts import Alerts
from batchord.core.errors import ConfigurationError
from batchord.core.run.messages import AlertsKept
from batchord.flow.step.execute import execute_step
from batchord.flow.upkeep.attach import AttachedReport
from batchord.flow.upkeep.recover import sweep
from batchord.flow.upkeep.tell import MOST_ATTEMPTS, send_alerts
from tests.integration.flow_parts import ITEMS, Bench
from tests.integration.graph_parts import Calls, declare_graph, opened
from tests.integration.recording_notifier import RecordingNotifier

ADA, BEN = "mail://ada", "chat://ben"


class Died(BaseException):
    """A sender's end: nothing in it is caught."""


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline whose runs fail."""
    with Bench(database_url, tmp_path) as bench:
        failing(bench)
        yield bench


def failing(bench: Bench, said: str = "it broke", **options: Any) -> None:
    """Declares it."""
    declare_graph(bench, Calls().failing("a", error=ValueError(said)), **options)


def fails(bench: Bench, pipeline: str = ITEMS, times: int = 1) -> None:
    """Runs that fail, whose alerts are not sent yet."""
    for _ in range(times):
        run_id, _ = opened(bench, pipeline)
        execute_step(bench.parts(), run_id=run_id, step="a")


def send(bench: Bench, addresses: str = f"{ADA} {BEN}", environment: Mapping[str, str] | None = None) -> int:
    """One sender's work."""
    return send_alerts(replace(bench.parts(alert_urls=addresses), environment=environment or {}))


def due(bench: Bench) -> None:
    """Time passes until every message is due."""
    bench.sql("UPDATE batchord.alerts SET due_at = clock_timestamp()")


def addressees(bench: Bench) -> list[str]:
    """The addresses that got a message, in order."""
    return [address for address, _, _ in bench.notifier.sent]


def test_every_receiver_gets_an_alert_once(bench: Bench) -> None:
    """With the title, the cause and the commands that help."""
    fails(bench)
    assert (send(bench), send(bench)) == (1, 0)
    assert addressees(bench) == [ADA, BEN]
    _, title, body = bench.notifier.sent[0]
    assert title == "[batchord] items: run failed"
    assert "ValueError: it broke" in body
    assert bench.value("SELECT closed_at IS NOT NULL AND error IS NULL FROM batchord.alerts")


def test_without_receivers_no_alert_is_sent(bench: Bench) -> None:
    """The alert stays in the ledger. A receiver that is added later does not get old alerts."""
    fails(bench)
    assert send(bench, "") == 1
    assert send(bench) == 0
    assert addressees(bench) == []


def test_only_the_receiver_that_was_down_is_tried_again(bench: Bench) -> None:
    """When it is due: not before, and the sweeper says so."""
    fails(bench)
    bench.notifier.down = {BEN}
    assert send(bench) == 0
    assert (send(bench), addressees(bench)) == (0, [ADA])
    assert AlertsKept() not in sweep(bench.parts(), older_than_seconds=0)
    bench.notifier.down = set()
    due(bench)
    assert AlertsKept() in sweep(bench.parts(), older_than_seconds=0)
    assert send(bench) == 1
    assert addressees(bench) == [ADA, BEN]


def test_the_wait_grows_until_it_is_given_up(bench: Bench) -> None:
    """From half a minute to four hours. The cause stays in the ledger. The receiver that answers got one message."""
    fails(bench)
    bench.notifier.down = {BEN}
    waits = []
    for _ in range(MOST_ATTEMPTS - 1):
        due(bench)
        assert send(bench) == 0
        waits.append(round(bench.value("SELECT extract(epoch FROM due_at - clock_timestamp()) FROM batchord.alerts")))
    assert waits == [min(30 * 2**n, 4 * 3600) for n in range(MOST_ATTEMPTS - 1)]
    due(bench)
    assert send(bench) == 0
    assert bench.sql("SELECT attempts, closed_at IS NOT NULL, error FROM batchord.alerts") == [
        (MOST_ATTEMPTS, True, "given up: the receiver is down")
    ]
    bench.notifier.down = set()
    due(bench)
    assert (send(bench), addressees(bench)) == (0, [ADA])


def test_one_message_that_cannot_be_sent_holds_up_no_other(bench: Bench) -> None:
    """The pipeline's own receiver is down, everybody's is not."""
    failing(bench, alerts=Alerts(urls_env="OWN"))
    failing(bench, name="other")
    fails(bench)
    fails(bench, pipeline="other")
    bench.notifier.down = {BEN}
    assert send(bench, ADA, {"OWN": BEN}) == 1
    assert addressees(bench) == [ADA, ADA]


class Dying(RecordingNotifier):
    """The process dies right after a receiver has taken a message."""

    def __init__(self, over: str) -> None:
        super().__init__()
        self._over = over

    def send(self, address: str, **said: Any) -> None:
        """See the protocol."""
        super().send(address, **said)
        if address == self._over:
            raise Died


@pytest.mark.parametrize(("over", "again"), [(ADA, [ADA, BEN]), (BEN, [BEN])])
def test_a_sender_that_dies_loses_nothing(bench: Bench, over: str, again: list[str]) -> None:
    """Once its lease is over the rest is sent. Only the receiver of its last message gets that message twice."""
    fails(bench)
    dying = Dying(over)
    with pytest.raises(Died):
        send_alerts(replace(bench.parts(alert_urls=f"{ADA} {BEN}"), notifier=dying))
    assert send(bench) == 0
    due(bench)
    assert send(bench) == 1
    assert addressees(bench) == again


def test_senders_share_the_work(bench: Bench) -> None:
    """Four at once: each message goes once to each receiver."""
    fails(bench, times=12)
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: send(bench), range(4))) == 12
    assert sorted(addressees(bench)) == sorted([ADA, BEN] * 12)
    assert len({body for _, _, body in bench.notifier.sent}) == 12


def test_a_pipeline_has_receivers_of_its_own(bench: Bench) -> None:
    """They come from the worker's environment, beside the global ones. Each address gets one message."""
    failing(bench, alerts=Alerts(urls_env="OWN"))
    declare_graph(bench, Calls().failing("a"), name="other")
    fails(bench)
    assert send(bench, ADA, {"OWN": f"{BEN}, {ADA}", "OTHER": "mail://nobody"}) == 1
    assert addressees(bench) == [ADA, BEN]


def test_receivers_that_are_not_set_here_are_named(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The global receivers still get the alert. The pipeline's own are tried again where the variable may be set."""
    failing(bench, alerts=Alerts(urls_env="OWN"))
    fails(bench)
    assert send(bench, ADA) == 0
    assert addressees(bench) == [ADA]
    assert "OWN is not set where this worker runs" in caplog.text
    bench.sql("UPDATE batchord.alerts SET due_at = now()")
    assert send(bench, ADA, {"OWN": BEN}) == 1
    assert addressees(bench) == [ADA, BEN]


def test_alerts_of_a_pipeline_whose_file_is_gone_are_sent(bench: Bench) -> None:
    """Its runs may have failed for that reason. The global receivers get the alert."""
    failing(bench, alerts=Alerts(urls_env="OWN"))
    fails(bench)
    bench.catalog.pipelines.clear()
    assert send(bench, ADA, {"OWN": BEN}) == 1
    assert addressees(bench) == [ADA]


def test_alerts_hold_no_secrets(bench: Bench) -> None:
    """Neither in the ledger nor in the messages."""
    failing(bench, "cannot reach postgresql://batch:hunter2hunter2@db/x with api_key=abcdef0123456789")
    fails(bench)
    send(bench)
    for text in (*bench.notifier.sent[0], *bench.column("SELECT message FROM batchord.alerts")):
        assert "hunter2" not in text
        assert "abcdef0123456789" not in text
    assert "postgresql://batch:***@db/x" in bench.notifier.sent[0][2]


def test_a_long_error_is_sent_in_part(bench: Bench) -> None:
    """The ledger has more of it, and the attempt's log has all of it."""
    failing(bench, "x" * 10_000)
    fails(bench)
    send(bench)
    assert len(bench.notifier.sent[0][2]) < 2000
    assert len(bench.value("SELECT error FROM batchord.runs")) > 3000


def test_an_address_that_cannot_be_used_is_an_error_like_another(bench: Bench) -> None:
    """It is tried again, since a person may correct it. The other receivers get the alert."""

    class Refusing(RecordingNotifier):
        def send(self, address: str, **said: Any) -> None:
            if address == ADA:
                raise ConfigurationError("the address has no host")
            super().send(address, **said)

    fails(bench)
    refusing = Refusing()
    assert send_alerts(replace(bench.parts(alert_urls=f"{ADA} {BEN}"), notifier=refusing)) == 0
    assert [address for address, _, _ in refusing.sent] == [BEN]
    assert bench.value("SELECT error FROM batchord.alerts") == "the address has no host"
    assert ITEMS in refusing.sent[0][1]


MAIL, HOOK = "mailto://ada", "json://hook"


def send_with(bench: Bench, to: str, make: Callable[[str], str]) -> dict[str, str]:
    """The messages by address, if ``make`` makes the report of a run and ``to`` get it."""
    parts = bench.parts(alert_urls=f"{MAIL} {HOOK}", alert_reports=to)
    assert send_alerts(replace(parts, environment={}, run_report=make)) == 1
    return {address: body for address, _, body in bench.notifier.sent}


@pytest.mark.parametrize(("to", "got"), [("none", set()), ("mail", {MAIL}), ("all", {MAIL, HOOK})])
def test_the_report_goes_to_those_who_are_to_get_it(bench: Bench, to: str, got: set[str]) -> None:
    """That of the alert's run, made once. Everybody gets the same message."""
    fails(bench)
    made: list[str] = []
    texts = send_with(bench, to, lambda run_id: made.append(run_id) or f"<p>{run_id}</p>")  # type: ignore[func-returns-value]

    run_id = bench.value("SELECT id::text FROM batchord.runs")
    assert made == ([run_id] if got else [])
    assert set(bench.notifier.attachments) == got
    for attachment in bench.notifier.attachments.values():
        assert attachment == (f"items-{run_id}.html", "text/html", f"<p>{run_id}</p>")
    assert texts[MAIL] == texts[HOOK]
    assert "not attached" not in texts[MAIL]


def _broken(run_id: str) -> str:
    raise RuntimeError(f"no report of {run_id}")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(_broken, "making it failed with RuntimeError", id="broken"),
        pytest.param(lambda _: "x" * 3_000_000, "it has 2,929 KiB, more than 2,048 KiB", id="large"),
    ],
)
def test_without_a_report_the_alert_is_sent(bench: Bench, make: Callable[[str], str], why: str) -> None:
    """It says why, and which command writes the report."""
    fails(bench)
    texts = send_with(bench, "all", make)

    run_id = bench.value("SELECT id::text FROM batchord.runs")
    note = f"The run's report is not attached: {why}. `batchord report {run_id} -o report.html` writes it."
    assert bench.notifier.attachments == {}
    assert all("ValueError: it broke" in text and text.endswith(note) for text in texts.values())


def test_a_receiver_that_refuses_the_report_gets_the_alert(bench: Bench) -> None:
    """At once. The others get both."""
    fails(bench)
    bench.notifier.takes_no_files = {MAIL}
    texts = send_with(bench, "all", lambda _: "<p>")

    assert "not attached: the receiver did not take it." in texts[MAIL]
    assert list(bench.notifier.attachments) == [HOOK]


def test_an_alert_does_not_wait_for_a_report_that_hangs(bench: Bench) -> None:
    """The thread that makes it ends when it can."""
    fails(bench)
    ended = threading.Event()
    parts = replace(bench.parts(alert_reports="all"), run_report=lambda _: f"{ended.wait(60)}")
    alert = bench.ledger.alerts.claim(lease_seconds=60)
    assert alert is not None
    try:
        assert AttachedReport(parts, alert, seconds=0.1).attachment == "it was not ready within 0.1 s"
    finally:
        ended.set()

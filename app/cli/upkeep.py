"""Commands for upkeep: ``alerts``, ``prune``."""

import sys
from dataclasses import asdict

import click
from rich.text import Text

from batchord.core.addresses.receivers import address_name
from batchord.core.errors import BatchordError
from batchord.core.text.counts import counted
from batchord.core.text.similar import closest
from batchord.reports.alerts import AlertReport, Delivery, newest_alerts
from batchord.reports.run_names import short_ids

from .actor import this_person
from .database import database, shows_ledger
from .output import console, json_option, print_json, shortened, table
from .terminal import text

#: The most characters that are shown of a message.
_MOST = 160
_COLOURS = {Delivery.GIVEN_UP: "red", Delivery.NO_RECEIVERS: "dim", Delivery.SENT_AGAIN: "yellow"}


@click.command()
@click.option("--pipeline", help="Only alerts of this pipeline.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Show at most this many.")
@click.option("--test", "is_test", is_flag=True, help="Send a test message to every receiver now, from this machine.")
@json_option
def alerts(pipeline: str | None, limit: int, *, is_test: bool, as_json: bool) -> None:
    """List the newest alerts and whether they were sent."""
    if is_test:
        with database(create=False):
            _test(pipeline, as_json=as_json)
    else:
        _list(pipeline, limit, as_json=as_json)


@shows_ledger
def _list(pipeline: str | None, limit: int, *, as_json: bool) -> None:
    from batchord.wiring import ledger

    reports = newest_alerts(ledger(), pipeline=pipeline, limit=limit)
    if as_json:
        print_json([asdict(each) for each in reports])
        return
    ids = short_ids(ledger(), [each.run_id for each in reports])
    rows = [
        (
            each.created_at,
            each.kind,
            each.pipeline,
            ids.get(each.run_id or ""),
            _delivery(each),
            shortened(each.gist(ids.get(each.run_id or "")), _MOST),
        )
        for each in reports
    ]
    columns = ("when", "kind", "pipeline", "run", "sent", "message")
    table("Alerts", columns, rows, empty="No alerts.", least=("sent",))


@click.command()
@json_option
@shows_ledger
def prune(*, as_json: bool) -> None:
    """Delete what is older than the settings allow: logs, runs, alerts, history, audits. Predictions always stay."""
    from batchord.flow.upkeep.prune import prune as delete
    from batchord.wiring import parts

    with console.status("Pruning …"):
        pruned = delete(parts(), actor=this_person())
    if as_json:
        print_json(pruned.as_json())
    else:
        console.print(
            f"Deleted: {counted(pruned.runs, 'run')}, {counted(pruned.logs, 'part of a log', plural='parts of logs')}, "
            f"{counted(pruned.alerts, 'alert')}, "
            f"{counted(pruned.history, 'change of the history', plural='changes of the history')}, "
            f"{counted(pruned.audits, 'finding of an audit', plural='findings of audits')}. "
            f"Cleared: the outputs of {counted(pruned.outputs, 'prediction')}."
        )


def _delivery(alert: AlertReport) -> str | Text:
    if alert.delivery is Delivery.SENT:
        return f"to {alert.receivers}"
    return text((alert.delivery, _COLOURS.get(alert.delivery, "")))


def _test(pipeline: str | None, *, as_json: bool) -> None:
    from batchord.flow.upkeep.tell import missing_env, receivers
    from batchord.wiring import parts

    addresses = receivers(parts(), pipeline)
    results: list[dict[str, str | None]] = []
    missing = None if pipeline is None else missing_env(parts(), pipeline)
    if missing is not None:
        similar = closest(missing, parts().environment)
        advice = "set it" if similar is None else f"did you mean {similar!r}?"
        problem = f"{missing} (urls_env= of {pipeline}) is not set in this environment: {advice}"
        results.append({"receiver": missing, "error": problem})
    for address in addresses:
        receiver = address_name(address)
        try:
            body = "This is a test of alerts. Nothing is wrong."
            parts().notifier.send(address, title="[batchord] a test", body=body, failure=False)
            results.append({"receiver": receiver, "error": None})
        except BatchordError as error:
            results.append({"receiver": receiver, "error": str(error)})
    if as_json:
        print_json(results)
    else:
        for result in results:
            mark = ("✗", "red") if result["error"] else ("✓", "green")
            console.print(text(mark, f" {result['error'] or result['receiver']}"))
        if not results:
            console.print("No receiver is configured. Set BATCHORD_ALERT_URLS.")
    if not results or any(result["error"] for result in results):
        sys.exit(1)

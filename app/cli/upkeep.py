"""What keeps the ledger in order, and people informed: ``alerts``, ``prune``."""

import sys
from typing import Any

import click
from rich.text import Text

from batchord.core.addresses.receivers import address_name
from batchord.core.errors import BatchordError

from .actor import this_person
from .output import console, json_option, print_json, short, table
from .terminal import text

#: Characters shown of a message.
_MOST = 160
#: How the line begins that says where to find out more.
_LOOK = "Look closer: "


@click.command()
@click.option("--pipeline", help="Only alerts of this pipeline.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Show at most this many.")
@click.option("--test", "is_test", is_flag=True, help="Send a test message to every receiver now, from this machine.")
@json_option
def alerts(pipeline: str | None, limit: int, *, is_test: bool, as_json: bool) -> None:
    """List the newest alerts and whether they were sent."""
    from batchord.wiring import ledger

    if is_test:
        _test(pipeline, as_json=as_json)
        return
    found = ledger().reports.alerts(pipeline=pipeline, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            each["created_at"],
            each["kind"],
            each["pipeline"],
            short(str(each["run_id"])) if each["run_id"] else None,
            _fate(each),
            _gist(each),
        )
        for each in found
    ]
    columns = ("when", "kind", "pipeline", "run", "sent", "message")
    table("Alerts", columns, rows, empty="No alerts.", least=("sent",))


@click.command()
@json_option
def prune(*, as_json: bool) -> None:
    """Delete logs, runs, alerts and history that are older than the settings allow. Predictions always stay."""
    from batchord.flow.upkeep.prune import prune as delete
    from batchord.wiring import parts

    with console.status("Pruning …"):
        pruned = delete(parts(), actor=this_person())
    if as_json:
        print_json(pruned.as_json())
    else:
        console.print(
            f"Deleted: {pruned.runs:,} runs, {pruned.logs:,} parts of logs, {pruned.alerts:,} alerts, "
            f"{pruned.history:,} changes of the history. "
            f"Cleared: the outputs of {pruned.outputs:,} predictions."
        )


def _gist(alert: dict[str, Any]) -> str:
    """The line that says what is wrong: the first one of most repeats the other columns."""
    first, *more = alert["message"].split("\n")
    said: str = more[0] if more and not more[0].startswith(_LOOK) else first
    if alert["run_id"]:
        said = said.replace(str(alert["run_id"]), short(str(alert["run_id"])))
    return said if len(said) <= _MOST else f"{said[:_MOST]} …"


def _fate(alert: dict[str, object]) -> str | Text:
    if alert["error"] and alert["closed_at"]:
        return text(("given up", "red"))
    if alert["closed_at"]:
        return f"to {alert['receivers']}" if alert["receivers"] else text(("no receivers", "dim"))
    return text(("will be sent again", "yellow")) if alert["attempts"] else "waits"


def _test(pipeline: str | None, *, as_json: bool) -> None:
    from batchord.flow.upkeep.tell import receivers
    from batchord.wiring import parts

    addresses = receivers(parts(), pipeline)
    told: list[dict[str, str | None]] = []
    for address in addresses:
        receiver = address_name(address)
        try:
            body = "This is a test of alerts. Nothing is wrong."
            parts().notifier.send(address, title="[batchord] a test", body=body, failure=False)
            told.append({"receiver": receiver, "error": None})
        except BatchordError as error:
            told.append({"receiver": receiver, "error": str(error)})
    if as_json:
        print_json(told)
    else:
        for each in told:
            mark = ("✗", "red") if each["error"] else ("✓", "green")
            console.print(text(mark, f" {each['error'] or each['receiver']}"))
        if not told:
            console.print("No receiver is configured. Set BATCHORD_ALERT_URLS.")
    if not told or any(each["error"] for each in told):
        sys.exit(1)

"""What `batchord status` shows of a stack that is not well."""

import io
from dataclasses import replace

import pytest

from app.cli import output, stack
from app.cli.terminal import Terminal
from batchord.reports.stack import ProcessReport, ServerReport, StackReport

REPORT = StackReport(
    servers=[
        ServerReport(name="postgres", state="not answering", pid=1_234_567, address="127.0.0.1:31999"),
        ServerReport(name="redis", state="stopped", pid=None, address=None),
    ],
    processes=[
        ProcessReport(name="control", state="waiting", pid=None, restarts=2, uptime=0.0),
        ProcessReport(name="flower", state="running", pid=1_234_568, restarts=0, uptime=7300.0),
    ],
    flower="http://127.0.0.1:31998",
    problems=[],
    remarks=[],
    database_usable=True,
)


def shown(monkeypatch: pytest.MonkeyPatch, report: StackReport) -> list[list[str]]:
    """The words of each line on a terminal of 80 columns."""
    written = io.StringIO()
    console = Terminal(width=80, file=written)
    for module in (output, stack):
        monkeypatch.setattr(module, "console", console)
    stack._print_status(report)  # noqa: SLF001 -- the command itself needs a stack
    assert max(map(len, written.getvalue().splitlines())) <= 80
    return [line.split() for line in written.getvalue().splitlines()]


def test_every_column_has_a_heading_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restarts are numbers in a column of their own, also of a process that does not run."""
    assert shown(monkeypatch, REPORT) == [
        ["Local", "stack"],
        ["name", "state", "pid", "running", "for", "restarts", "address"],
        ["postgres", "not", "answering", "1234567", "-", "-", "127.0.0.1:31999"],
        ["redis", "stopped", "-", "-", "-", "-"],
        ["control", "waiting", "-", "-", "2", "-"],
        ["flower", "running", "1234568", "2", "h", "0", "http://127.0.0.1:31998"],
    ]


@pytest.mark.parametrize("running", [True, False])
def test_a_lost_supervisor_is_told(monkeypatch: pytest.MonkeyPatch, *, running: bool) -> None:
    """With the command that helps, whether servers still run or not."""
    nothing = {"servers": [], "processes": []}
    lost = replace(REPORT, lost_supervisor=4321, **({} if running else nothing))
    text = " ".join(word for line in shown(monkeypatch, lost) for word in line)
    assert "The supervisor (pid 4321) has ended without stopping the stack" in text
    assert "Start the stack with `batchord up`." in text
    assert "The local stack is not running" not in text

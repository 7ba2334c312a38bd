"""How a line of a log is shown."""

import io
from datetime import UTC, datetime

import pytest

from app.cli import logs
from app.cli.terminal import Terminal
from batchord.core.run.logs import AttemptName, LogLine, LogPart


def test_a_line_steers_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a record or a function says is foreign text."""
    written = io.StringIO()
    monkeypatch.setattr(logs, "console", Terminal(file=written))
    message = "a\x1b[2J\x07\x9b\ud800\tb"
    line = LogLine(time=datetime(2026, 3, 1, tzinfo=UTC), level="INFO", source="stdout", message=message)
    logs._text(LogPart(attempt=AttemptName("r", "s", None, 1), part=0, worker="w", lines=(line,)), line)  # noqa: SLF001
    assert r"stdout a\x1b[2J\x07\x9b\ud800" in written.getvalue()
    assert "\x1b" not in written.getvalue()

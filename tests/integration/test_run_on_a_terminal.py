"""`batchord run --local` on a terminal, where a progress bar stands below what the model prints."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import run, waiting
from app.cli.terminal import Terminal
from tests.integration.flow_parts import ITEMS, Bench, length


def _talks(frame: Any) -> Any:
    print("first")  # noqa: T201 -- as authors do
    print("second")  # noqa: T201
    return length(frame)


def test_the_log_holds_what_the_model_printed_and_nothing_of_the_bar(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terminal shows both."""
    monkeypatch.setattr(waiting, "console", Terminal(width=80, force_terminal=True))
    with Bench(database_url, tmp_path) as bench:
        bench.insert(3)
        bench.declare(_talks)
        monkeypatch.setattr("batchord.wiring.local_parts", bench.parts)
        monkeypatch.setattr("batchord.wiring.ledger", lambda: bench.ledger)
        monkeypatch.setattr("batchord.wiring.catalog", lambda: bench.catalog)

        ended = CliRunner().invoke(run.run, [ITEMS, "--local"])

        assert ended.exit_code == 0, ended.exception
        (made,) = bench.ledger.reports.runs(limit=10)
        printed = [
            line.message for part in bench.ledger.logs.read(made.id) for line in part.lines if line.source == "stdout"
        ]
    assert printed == ["first", "second"]
    assert "first" in ended.output
    assert "━" in ended.output

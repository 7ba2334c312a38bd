"""`batchord pipelines` is one line for each pipeline, also on a narrow terminal and with long names."""

import io
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from app.cli import checks, output
from app.cli.terminal import Terminal
from batchord.catalog.reading import Loaded
from batchord.core.calendar.schedules import every
from batchord.core.declared.pipelines import Pipeline
from batchord.core.errors import ConfigurationError
from tests.integration.graph_parts import Calls

NAMES = ["a", "warehouse-reviews", "customer-complaints-by-region"]


def lines(monkeypatch: pytest.MonkeyPatch, width: int) -> list[str]:
    """The table on a terminal of that width, without a ledger."""
    screen = io.StringIO()
    for module in (output, checks):
        monkeypatch.setattr(module, "console", Terminal(width=width, file=screen))
    pipelines = {
        name: Pipeline(name, schedule=every(minutes=10), steps=[Calls().step("read_catalog"), Calls().step("join")])
        for name in NAMES
    }
    loaded = Loaded(pipelines=pipelines, files={name: f"{name}.py" for name in NAMES})
    catalog = SimpleNamespace(loaded=loaded, folder="pipelines")
    monkeypatch.setattr("batchord.wiring.catalog", lambda: catalog)

    def no_ledger() -> None:
        raise ConfigurationError("none")

    monkeypatch.setattr("batchord.wiring.ledger", no_ledger)
    assert CliRunner().invoke(checks.pipelines, []).exit_code == 0
    title, *table = screen.getvalue().splitlines()
    assert title.strip() == "Pipelines"
    return [line.rstrip() for line in table[:-1]]


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (80, ["pipeline", "schedule", "next"]),
        (110, ["pipeline", "schedule", "next", "file"]),
        (140, ["pipeline", "schedule", "next", "steps", "file"]),
    ],
)
def test_columns_are_left_out_rather_than_folded(
    monkeypatch: pytest.MonkeyPatch, width: int, columns: list[str]
) -> None:
    """First the steps, then the file, which most often has the pipeline's name."""
    header, *rows = lines(monkeypatch, width)
    assert header.split() == columns
    assert [row.split()[0] for row in rows] == sorted(NAMES)
    assert max(map(len, (header, *rows))) <= width


def test_times_have_no_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot of every ten minutes begins with a minute."""
    _, *rows = lines(monkeypatch, 140)
    assert all(len(row.split()[4]) == len("12:30") for row in rows), rows

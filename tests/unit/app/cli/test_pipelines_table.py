"""`batchord pipelines` is one line for each pipeline, also on a narrow terminal and with long names."""

import io
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from app.cli import checks, output
from app.cli.terminal import Terminal
from batchord.catalog.reading import Loaded
from batchord.core.calendar.schedules import Schedule, cron, every
from batchord.core.declared.pipelines import Pipeline
from batchord.core.errors import ConfigurationError
from tests.integration.graph_parts import Calls

NAMES = ["a", "warehouse-reviews", "customer-complaints-by-region"]


def lines(
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    names: Sequence[str] = NAMES,
    schedule: Schedule = every(minutes=10),  # noqa: B008 -- frozen
) -> list[str]:
    """The table on a terminal of that width, without a ledger."""
    screen = io.StringIO()
    for module in (output, checks):
        monkeypatch.setattr(module, "console", Terminal(width=width, file=screen))
    pipelines = {
        name: Pipeline(name, schedule=schedule, steps=[Calls().step("read_catalog"), Calls().step("join")])
        for name in names
    }
    loaded = Loaded(pipelines=pipelines, files={name: f"{name}.py" for name in names})
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


def test_a_long_schedule_is_folded_before_the_file_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be read in two lines; the file's name cannot."""
    daily = cron("5 6 * * 1-5", "America/Argentina/Buenos_Aires")
    header, first, second = lines(monkeypatch, 80, names=["reviews"], schedule=daily)
    assert header.split() == ["pipeline", "schedule", "next", "file"]
    assert first.split()[-1] == "reviews.py"
    assert second.split() == ["America/Argentina/Buenos_Aires"]


def test_times_have_no_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot of every ten minutes begins with a minute."""
    _, *rows = lines(monkeypatch, 140)
    assert all(len(row.split()[4]) == len("12:30") for row in rows), rows

"""``batchord alerts --test``."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import upkeep
from batchord import Alerts, Pipeline, Python
from tests.integration.flow_parts import Bench


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline with receivers of its own."""
    with Bench(database_url, tmp_path) as bench:
        alerts = Alerts(urls_env="TEAM_URL")
        bench.catalog.pipelines["items"] = Pipeline("items", steps=[Python("work", print)], alerts=alerts)
        yield bench


@pytest.mark.parametrize(
    ("variable", "advice"), [("TEAM_URLS", "did you mean 'TEAM_URLS'?"), ("OTHER_PLACES", "set it")]
)
def test_a_variable_that_is_not_set_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, variable: str, advice: str
) -> None:
    """With a variable that has a similar name, if there is one. Its value is not shown."""
    parts = replace(bench.parts(), environment={variable: "json://secret-place"})
    monkeypatch.setattr("batchord.wiring.parts", lambda: parts)

    said = CliRunner().invoke(upkeep.alerts, ["--test", "--pipeline", "items"])

    assert said.exit_code == 1
    text = " ".join(said.stdout.split())
    assert f"TEAM_URL (urls_env= of items) is not set in this environment: {advice}" in text
    assert "secret-place" not in text

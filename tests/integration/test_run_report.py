"""The report of a run as one file: its facts, nothing from elsewhere, and no text of others as markup."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from app.cli.report import report
from app.run_report.page import report_page
from batchord import Python
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.flow.attempt import log as attempt_log
from batchord.reports.run import detail_of
from batchord.settings import Settings
from tests.acceptance.flowers import misprints
from tests.integration.flow_parts import RECORDS, Bench

_MARKUP = "<script src=//a.example>x</script>&\x1b[2J"


def score(frame: pd.DataFrame) -> pd.DataFrame:
    """Labels that are markup, a score for each, and an error for one record."""
    if "break" in set(frame["body"]):
        raise ValueError(_MARKUP)
    return pd.DataFrame(
        {"label": [_MARKUP if body == "odd" else "plain" for body in frame["body"]], "score": 0.5}, index=frame.index
    )


def fail() -> None:
    """Raises."""
    raise ValueError(_MARKUP)


class _Read(HTMLParser):
    """The elements and the texts of a page. Elements that end by themselves are known."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        """All texts, blanks as one."""
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A run with labels, scores, a rejection, and a step that failed."""
    attempt_log.install()
    with Bench(database_url, tmp_path) as bench:
        steps = [Predict("score", source=RECORDS, model=score), Python("fail", fail, after="score")]
        bench.catalog.pipelines["items"] = Pipeline("items", steps=steps)
        bench.sql("INSERT INTO records (body) SELECT 'x' FROM generate_series(1, 1200)")
        bench.sql("INSERT INTO records (body) VALUES ('odd'), ('break')")
        bench.run("items")
        monkeypatch.setattr("batchord.wiring.ledger", lambda: bench.ledger)
        yield bench
    attempt_log.uninstall()


def _page(bench: Bench, **options: Any) -> str:
    (run,) = bench.ledger.reports.runs(pipeline="items")
    values = {"short_id": run.id[:8], "now": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "hides_records": False}
    page = report_page(detail_of(bench.ledger, run), **{**values, **options})
    assert not misprints(page)
    return page


def test_it_has_the_facts_of_the_run(bench: Bench) -> None:
    """State, counts, labels, scores, reasons of rejection, steps, and the error with its place."""
    read = _Read(_page(bench))

    for fact in (
        "items failed",
        "score 1,202 1,201 1 0",
        "plain",
        "1,200",
        "median 0.5",
        "model-error",
        "Worker seconds",
        "fail python",
        "tests/integration/test_run_report.py",
        "for record 1202",
        "2026-01-02 03:04:05 UTC",
    ):
        assert fact in read.text, fact
    pictures = [attributes for name, attributes in read.elements if name == "svg"]
    assert len(pictures) == 4
    assert all(each["aria-label"] for each in pictures)


def test_it_needs_nothing_from_elsewhere(bench: Bench) -> None:
    """No script, no address, and a policy that forbids both. What others wrote is text."""
    page = _page(bench)
    read = _Read(page)

    assert not {"script", "link", "img", "iframe", "object", "a"} & {name for name, _ in read.elements}
    linking = [name for _, attributes in read.elements for name in attributes if name in ("src", "href", "style")]
    assert not linking
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    assert "default-src 'none'" in page
    assert "<script src=//a.example>x</script>&\\x1b[2J" in read.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", page)


def test_it_names_no_record_where_none_may_be_shown(bench: Bench) -> None:
    """Counts and places stay."""
    read = _Read(_page(bench, hides_records=True))

    assert "1202" not in read.text
    assert "1,202" in read.text
    assert "model-error" in read.text


@pytest.mark.parametrize("shown", ["keys", "none"])
def test_the_command_writes_it(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Any) -> None:
    """Into a file or to a program, as the setting for records says; a folder that is missing is named."""
    monkeypatch.setattr("batchord.settings.settings", lambda: Settings(show_records=shown))
    file = tmp_path / "report.html"

    done = CliRunner().invoke(report, ["items", "-o", str(file)], catch_exceptions=False)
    piped = CliRunner().invoke(report, ["items"], catch_exceptions=False)

    assert ": items " in done.output
    assert ", failed, " in done.output
    assert ("for record 1202" in _Read(file.read_text("utf-8")).text) is (shown == "keys")
    assert piped.output.startswith("<!doctype html>")
    assert bench.value("SELECT count(*) FROM batchord.runs") == 1
    wrong = CliRunner().invoke(report, ["items", "-o", str(tmp_path / "missing" / "report.html")])
    assert "cannot be written" in str(wrong.exception)

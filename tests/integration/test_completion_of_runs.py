"""The shell offers runs and their steps from the ledger, and nothing if the ledger is away."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from app.cli import batchord
from batchord.settings import settings
from tests.integration.flow_parts import ITEMS, Bench


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A ledger of this test alone."""
    with Bench(database_url, tmp_path) as started:
        yield started


def offered(*words: str) -> dict[str, str | None]:
    """What the shell offers for the last word, with what it shows beside."""
    *before, incomplete = words
    complete = ShellComplete(batchord, {}, "batchord", "_BATCHORD_COMPLETE")
    return {str(item.value): item.help for item in complete.get_completions(before, incomplete)}


def test_runs_and_their_steps(bench: Bench, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest first, each by a beginning of its id that no other one has; further characters choose among them."""
    bench.insert(1)
    bench.declare()
    first, second = bench.run(), bench.run()
    settings.cache_clear()
    monkeypatch.setenv("BATCHORD_DATABASE_URL", database_url)
    runs = offered("show", "")
    newest, oldest = runs
    assert (second.id.startswith(newest), second.id.startswith(oldest)) == (True, False)
    assert (first.id.startswith(oldest), first.id.startswith(newest)) == (True, False)
    assert str(runs[oldest]).startswith(f"{ITEMS} succeeded, ")
    assert list(offered("cancel", first.id[:20])) == [first.id]
    assert list(offered("logs", oldest, "--step", "pre")) == ["predict"]
    assert offered("show", "nothing' OR true --") == {}

    settings.cache_clear()
    monkeypatch.setenv("BATCHORD_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/x")
    assert offered("show", "") == {}
    settings.cache_clear()

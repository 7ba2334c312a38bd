"""`batchord new` in an empty folder, with a ledger in which its pipelines run."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr

from app.cli.new import new
from batchord.catalog import Catalog
from batchord.core.run.runs import Run
from batchord.flow.local import run_local
from batchord.settings import Settings
from tests.integration.flow_parts import Bench, by


class Author:
    """A person in an empty folder, and the database of a test."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        self.folder = folder

    def new(self, *arguments: str) -> Result:
        """Calls the command."""
        return CliRunner().invoke(new, list(arguments))

    def draft(self, *arguments: str) -> dict[str, Any]:
        """Calls the command, which must succeed, and returns what it tells programs."""
        result = self.new(*arguments, "--json")
        assert result.exit_code == 0, (result.output, result.exception)
        told: dict[str, Any] = json.loads(result.stdout)
        return told

    def text(self, name: str) -> str:
        """The text of the pipeline's file."""
        return (self.folder / f"{name}.py").read_text("utf-8")

    def run(self, name: str) -> Run:
        """Runs the pipeline as its file declares it."""
        catalog = Catalog(self.folder)
        assert [str(problem) for problem in catalog.problems] == []
        return run_local(replace(self.bench.parts(), catalog=catalog), pipeline=name)

    def assert_formatted(self) -> None:
        """Ruff would change nothing, at its usual width and at a greater one, and finds no fault."""
        for width in ("88", "120"):
            options = ["--isolated", "--line-length", width, str(self.folder)]
            for command in (["format", "--diff", *options], ["check", "--select", "B,E4,E7,E9,F,I,SIM,UP,W", *options]):
                done = subprocess.run(
                    [sys.executable, "-m", "ruff", *command], capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, done.stdout


@contextmanager
def author(database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Author]:
    """An author whose sources are read by the role that may only read."""
    monkeypatch.chdir(folder)
    configured = Settings(
        database_url=SecretStr(by("ledger", database_url)),
        source_url=SecretStr(by("source", database_url)),
        home=folder,
    )
    for module in ("batchord.settings", "batchord.wiring"):
        monkeypatch.setattr(f"{module}.settings", lambda: configured)
    path = list(sys.path)
    with Bench(database_url, folder / "home") as bench:
        yield Author(bench, folder / "pipelines")
    sys.path[:] = path

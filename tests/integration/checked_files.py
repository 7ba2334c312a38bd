"""Pipeline files of a test, and `batchord check` over them."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli.check import check
from batchord.settings import Settings

#: A file without problems.
SOUND = """
    reviews = Pipeline(
        "reviews",
        steps=[
            Predict("score", source=SqlSource("SELECT id, body FROM records", key="id"), model=len),
            Sql("keep", ["CREATE TABLE IF NOT EXISTS kept (n int)", "INSERT INTO kept VALUES (:n + 1)"], after="score"),
            Sql("more", "UPDATE kept SET n = CAST(:run_id AS text)::int WHERE n > :least", after="keep"),
        ],
    )
"""


@contextmanager
def forgotten(folder: Path) -> Iterator[None]:
    """Removes what the block imports from the folder: the next test has files of the same names."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


def configure(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Gives this process these settings."""
    for module in ("batchord.settings", "batchord.wiring"):
        monkeypatch.setattr(f"{module}.settings", lambda: settings)


def write(name: str, text: str) -> Path:
    """Writes a file into the folder of the pipelines. ``#!`` marks the lines that must be named."""
    path = Path("pipelines", name)
    path.parent.mkdir(exist_ok=True)
    path.write_text("from batchord import *\n" + dedent(text), encoding="utf-8")
    return path


def checked(*arguments: str, code: int = 0) -> dict[str, Any]:
    """The report for programs."""
    result = CliRunner().invoke(check, [*arguments, "--json"])
    assert result.exit_code == code, (result.output, result.exception)
    told: dict[str, Any] = json.loads(result.stdout)
    return told

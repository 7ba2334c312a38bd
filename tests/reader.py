"""A reader who follows a page: it runs the page's code blocks unchanged, commands in a shell and SQL in a database."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parents[1]


def code_blocks(page: str, language: str) -> list[str]:
    """The code of a page's fenced blocks in one language, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def code_block(page: str, part: str, language: str) -> str:
    """The only block of a page that contains ``part``."""
    (block,) = (code for code in code_blocks(page, language) if part in code)
    return block


class Reader:
    """Works in ``folder``, with ``python`` and ``batchord`` of this checkout on the path. Warnings are errors."""

    def __init__(self, folder: Path, database_url: str, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._database_url = database_url
        programs = folder / ".bin"
        programs.mkdir()
        for name, arguments in (("python", ""), ("batchord", "-c 'from batchord.app.cli import main; main()'")):
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
            (programs / name).chmod(0o755)
        self._environment = {
            **os.environ,
            **environment,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
            "COLUMNS": "200",
        }

    def shell(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs commands of a page unchanged, up to the first that fails."""
        ended = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=self.folder,
            env=self._environment,
            text=True,
            capture_output=True,
            timeout=240,
            check=False,
        )
        assert not check or ended.returncode == 0, ended.stdout + ended.stderr
        return ended

    def sql(self, statements: str, *values: Any) -> list[tuple[Any, ...]]:
        """Runs statements and returns the rows of the last statement, if it has any."""
        with psycopg.connect(self._database_url, autocommit=True) as connection:
            cursor = connection.execute(statements, values or None)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

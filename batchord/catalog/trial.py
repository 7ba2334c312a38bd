"""Files are tried in a throw-away process first: what they do there does nothing to those that work."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchord.catalog.editions import packed, unpacked
from batchord.catalog.reading import Problem
from batchord.core.process.loading import LOADING_VARIABLE

#: How long all files together may take; a library that is imported for the first time may take half a minute.
TRIAL_SECONDS = 120.0
_START = "import json, sys; job = json.load(sys.stdin); sys.path[:] = job['path']; {}"
_PROGRAM = _START.format("from batchord.catalog.trying import attempt; attempt(job)")


@dataclass(kw_only=True)
class Tried:
    """What became of the files."""

    files: list[str]
    problems: list[Problem] = field(default_factory=list)
    #: All that was loaded, by absolute path.
    texts: dict[str, bytes] = field(default_factory=dict)
    closures: dict[str, list[str]] = field(default_factory=dict)

    @property
    def bad(self) -> set[str]:
        """The files that have a problem."""
        return {problem.file for problem in self.problems}

    @property
    def unusable(self) -> set[str]:
        """The files of which nothing can be loaded."""
        return {problem.file for problem in self.problems if problem.pipeline is None}


def try_files(
    folder: Path, files: Sequence[str], texts: Mapping[str, bytes], *, seconds: float = TRIAL_SECONDS
) -> Tried:
    """Loads the files from these texts in processes of their own, until each is either loaded or has a problem.

    A file that ends its process, or does not end, is a problem of its own, and the others are tried without it.
    """
    given_up: list[Problem] = []
    left = list(files)
    while True:
        reports, how = _run(folder, left, texts, seconds)
        last = reports[-1] if reports else {}
        if "problems" in last:
            return Tried(
                files=list(files),
                problems=[*given_up, *(Problem(**problem) for problem in last["problems"])],
                texts={**texts, **unpacked(last["texts"])},
                closures=last["closures"],
            )
        begun = [report["file"] for report in reports if report.get("file") in left]
        if not begun:  # before the first of them, or after the last: no file can be blamed alone
            given_up += [
                Problem(file=file, pipeline=None, what=f"Batchord could not try the file: {how}") for file in left
            ]
            return Tried(files=list(files), problems=given_up, texts=dict(texts))
        given_up.append(Problem(file=begun[-1], pipeline=None, what=f"loading the file failed: {how}"))
        left.remove(begun[-1])


def _run(
    folder: Path, files: list[str], texts: Mapping[str, bytes], seconds: float
) -> tuple[list[dict[str, Any]], str]:
    environment = {name: value for name, value in os.environ.items() if name != LOADING_VARIABLE}
    with tempfile.TemporaryDirectory(prefix="batchord-trial-", ignore_cleanup_errors=True) as place:
        report = Path(place) / "report"
        report.touch()
        job = {
            "path": [entry or os.getcwd() for entry in sys.path],  # noqa: PTH109 -- a text
            "folder": str(folder),
            "files": files,
            "texts": packed(texts),
            "report": str(report),
        }
        process = subprocess.Popen(  # noqa: S603 -- this very Python
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        try:
            _, said = process.communicate(json.dumps(job).encode(), timeout=seconds)
            last_line = (said.decode(errors="replace").strip().splitlines() or [""])[-1]
            how = f"its process ended with exit code {process.returncode} {last_line[:300]}".strip()
        except subprocess.TimeoutExpired:
            how = f"its process did not end within {seconds:g} s"
        finally:
            # With all that the files have started.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
        return [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()], how

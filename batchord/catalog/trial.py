"""Tries files in a throw-away process first, so that they cannot harm the processes that work."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchord.catalog.editions import packed, unpacked
from batchord.catalog.reading import Problem
from batchord.core.process.loading import LOADING_VARIABLE

#: How long a file may take. A library that is imported for the first time may take half a minute, and longer on a busy
#: machine. A limit for all files together was rejected: with many files, it would blame the one that was just loading.
TRIAL_SECONDS = 120.0
_LOOK_SECONDS = 1.0
_START = "import json, sys; job = json.load(sys.stdin); sys.path[:] = job['path']; {}"
_PROGRAM = _START.format("from batchord.catalog.trying import attempt; attempt(job)")


@dataclass(kw_only=True)
class TrialResult:
    """The result of trying files."""

    files: list[str]
    problems: list[Problem] = field(default_factory=list)
    #: The texts of all files and modules that were loaded, by absolute path.
    texts: dict[str, bytes] = field(default_factory=dict)
    #: The paths that each file reaches by imports, including its own.
    closures: dict[str, list[str]] = field(default_factory=dict)

    @property
    def bad(self) -> set[str]:
        """The files with a problem."""
        return {problem.file for problem in self.problems}

    @property
    def unusable(self) -> set[str]:
        """The files that cannot be loaded at all."""
        return {problem.file for problem in self.problems if problem.pipeline is None}


def try_files(
    folder: Path, files: Sequence[str], texts: Mapping[str, bytes], *, seconds: float = TRIAL_SECONDS
) -> TrialResult:
    """Loads the files from these texts in another process, until each file is loaded or has a problem.

    If a file ends its process, or does not come to an end, this is its problem. The others are tried again without it.
    """
    failed: list[Problem] = []
    remaining = list(files)
    while True:
        reports, how = _run(folder, remaining, texts, seconds)
        last = reports[-1] if reports else {}
        if "problems" in last:
            return TrialResult(
                files=list(files),
                problems=[*failed, *(Problem(**problem) for problem in last["problems"])],
                texts={**texts, **unpacked(last["texts"])},
                closures=last["closures"],
            )
        begun = [report["file"] for report in reports if report.get("file") in remaining]
        if not begun:  # the process ended before the first file: no single file can be blamed
            failed += [
                Problem(file=file, pipeline=None, what=f"Batchord could not try the file: {how}") for file in remaining
            ]
            return TrialResult(files=list(files), problems=failed, texts=dict(texts))
        failed.append(Problem(file=begun[-1], pipeline=None, what=f"loading the file failed: {how}"))
        remaining.remove(begun[-1])


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
            errors = _errors_of(process, json.dumps(job).encode(), report, seconds)
            last_line = (errors.decode(errors="replace").strip().splitlines() or [""])[-1]
            how = f"its process ended with exit code {process.returncode} {last_line[:300]}".strip()
        except subprocess.TimeoutExpired:
            how = f"its process did not end within {seconds:g} s"
        finally:
            # Also ends all processes that the files have started.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
        return [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()], how


def _errors_of(process: "subprocess.Popen[bytes]", job: bytes, report: Path, seconds: float) -> bytes:
    """What the process wrote to standard error, after its end.

    Raises TimeoutExpired if it neither ends nor begins another file for ``seconds``.
    """
    given: bytes | None = job
    size, since = 0, time.monotonic()
    while True:
        try:
            return process.communicate(given, timeout=min(_LOOK_SECONDS, seconds))[1]
        except subprocess.TimeoutExpired:
            given = None  # what is left of it is sent all the same
            written = report.stat().st_size
            if written != size:
                size, since = written, time.monotonic()
            elif time.monotonic() - since >= seconds:
                raise

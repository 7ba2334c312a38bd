"""Converts a pickled estimator to a ``.skops`` file.

The pickle is loaded in a process of its own, with an environment of few variables and a home that is empty: it finds
no secret there. It is no cage: the process has the rights of its user.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from batchord.catalog.importable import make_importable
from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause

_START = (
    "import json, sys; job = json.load(sys.stdin); sys.path[:] = job['path']; "
    "from batchord.models.converting import convert; convert(job)"
)
#: The variables of this process that the other one gets.
_KEPT = frozenset({"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV"})


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What became of the pickle."""

    #: The name of the estimator's class.
    kind: str
    #: What ``trusted=`` of the SklearnModel needs.
    trusted: Sequence[str]
    #: The methods that gave the same for made-up records.
    compared: Sequence[str]
    #: Why nothing was compared, as a part of a sentence; None: it was.
    not_compared: str | None
    remarks: Sequence[str]
    #: Of the ``.skops`` file.
    bytes: int

    def as_json(self) -> dict[str, Any]:
        """The contract for programs."""
        return asdict(self)


def convert_pickle(location: str, data: bytes, digest: str, *, pipelines: Path) -> tuple[Converted, bytes]:
    """Loads ``data``, which has the ``digest``, and returns what skops makes of it. Its code runs in another process.

    ``pipelines``: the folder of the pipelines, whose modules the pickle may need. Raises ConfigurationError.
    """
    with tempfile.TemporaryDirectory(prefix="batchord-convert-") as place:
        folder = Path(place)
        file, stored, outcome_file = folder / "model.pickle", folder / "model.skops", folder / "outcome.json"
        file.write_bytes(data)
        if pipelines.is_dir():
            make_importable(pipelines.resolve())
        job = {
            "path": [os.path.abspath(entry) for entry in sys.path if entry],  # noqa: PTH100 -- a text
            "file": str(file),
            "target": str(stored),
            "outcome": str(outcome_file),
            "location": location,
            "digest": digest,
        }
        done = subprocess.run(  # noqa: S603 -- this very Python
            [sys.executable, "-P", "-c", _START],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            errors="replace",
            cwd=folder,
            env=_environment(folder, os.environ),
            check=False,
        )
        outcome = _outcome(outcome_file, location, done)
        written = stored.read_bytes()
    return Converted(**outcome, bytes=len(written)), written


def _environment(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environment.items() if name in _KEPT}
    return kept | {"HOME": str(folder), "TMPDIR": str(folder)}


def _outcome(file: Path, location: str, done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    try:
        outcome: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        last_line = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise ConfigurationError(
            f"The process that loaded {location} ended with {how}: {clause(last_line)}. Nothing was written."
        ) from None
    if "error" in outcome:
        raise ConfigurationError(f"{outcome['error']}")
    return outcome

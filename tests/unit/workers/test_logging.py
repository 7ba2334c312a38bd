"""A worker's own log, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_WORKER = """
import logging, warnings
from workers.lifecycle import set_up_logging
set_up_logging()
from batchord.core.run.logs import AttemptName
from batchord.flow.attempt.log import attempt_log
from tests.contracts.kept_logs import KeptLogs
store = KeptLogs()
print("before")
with attempt_log(store, AttemptName("a-run", "score", 3, 1), worker="w", limit_bytes=10_000, mask=str):
    print("printed with hunter2-secret")
    logging.getLogger("mine").warning("logged")
    warnings.warn("careful")
assert len(store.messages()) == 3, store.messages()
"""


def _written(tmp_path: Path, log_format: str) -> tuple[list[str], list[str]]:
    """Lines of standard output and of standard error."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BATCHORD_")}
    environment |= {
        "BATCHORD_REDIS_URL": "redis://:hunter2-secret@127.0.0.1:1/0",
        "BATCHORD_HOME": str(tmp_path),
        "BATCHORD_LOG_FORMAT": log_format,
        "PYTHONPATH": str(_ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", _WORKER], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr.splitlines()


def test_each_line_is_there_once_with_its_attempt(tmp_path: Path) -> None:
    """Printed, logged and warning lines go to standard output, with the secrets of the settings masked."""
    out, err = _written(tmp_path, "json")

    assert (out[0], err) == ("before", [])
    lines = [json.loads(line) for line in out[1:]]
    assert [(line["logger"], line["message"].partition("UserWarning: ")[2] or line["message"]) for line in lines] == [
        ("batchord.output", "printed with ***"),
        ("mine", "logged"),
        ("py.warnings", "careful\n"),
    ]
    assert {(line["run_id"], line["step"], line["shard"], line["attempt"]) for line in lines} == {
        ("a-run", "score", 3, 1)
    }


@pytest.mark.parametrize(
    "message", ["batchord.output: [a-run score/3 #1] printed with ***", "mine: [a-run score/3 #1] logged"]
)
def test_a_line_of_text_names_its_attempt(tmp_path: Path, message: str) -> None:
    """For people."""
    _, err = _written(tmp_path, "text")

    assert sum(line.endswith(message) for line in err) == 1

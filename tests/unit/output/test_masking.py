"""The secrets that this process knows, and that its output is masked even where no code of ours asks for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchord.output import masking

_ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _own_knowledge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests know nothing of this one's."""
    monkeypatch.setattr(masking, "_known", None)


def test_what_is_learned_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline that is gone may still be quoted; what the environment says by now is looked up again."""
    monkeypatch.setenv("SALES_PASSWORD", "sales-pw-1")
    assert masking.mask("sales-pw-1 learned-1 dot-env-1") == "*** learned-1 dot-env-1"
    monkeypatch.delenv("SALES_PASSWORD")
    monkeypatch.setenv("DOT_ENV_TOKEN", "dot-env-1")
    masking.learn(["learned-1"])
    assert masking.mask("sales-pw-1 learned-1 dot-env-1") == "*** *** ***"


def test_programs_get_what_merely_looks_like_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record's key may look like a token, and is needed as it is."""
    monkeypatch.setenv("SALES_PASSWORD", "sales-pw-1")
    assert masking.mask_known("ghp_16C7e42F292c6912E7710c838347Ae178B4a sales-pw-1") == (
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a ***"
    )


_PROGRAM = """
import logging, sys, threading, warnings
from batchord.output.last_words import mask_last_words
mask_last_words()
logging.getLogger("a.library").warning("logged %s", "sales-pw-1\\nforged")
warnings.warn("warned of sales-pw-1")
thread = threading.Thread(target=lambda: 1 / len("") if "sales-pw-1" else None)
thread.start()
thread.join()
raise ValueError("uncaught sales-pw-1 \\x1b[2J")
"""


def test_what_nobody_caught_is_masked(tmp_path: Path) -> None:
    """Logs of a command that did not set up logging, warnings, errors in threads, and the error that ends it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BATCHORD_")}
    environment |= {"PYTHONPATH": str(_ROOT), "SALES_PASSWORD": "sales-pw-1", "BATCHORD_HOME": str(tmp_path)}
    # Settings that cannot be used are no reason to tell a secret.
    environment |= {"BATCHORD_LEASE_SECONDS": "none"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 1
    assert "sales-pw-1" not in done.stderr
    assert "logged ***\n  | forged\n" in done.stderr
    assert "UserWarning: warned of ***" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert done.stderr.endswith("ValueError: uncaught *** \\x1b[2J\n")


def test_the_command_line_masks_its_errors(tmp_path: Path) -> None:
    """Also those in the settings themselves, which quote what they were given."""
    url = "postgresql://u:sales-pw-1@h:nonsense/x"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BATCHORD_")}
    environment |= {"BATCHORD_HOME": str(tmp_path), "BATCHORD_DATABASE_URL": url, "BATCHORD_LEASE_SECONDS": url}
    done = subprocess.run(
        [sys.executable, "-c", "from batchord.app.cli import main; main()", "runs"],
        env=environment | {"PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("Error: "), "the class of an error says nothing to a person"
    assert "sales-pw-1" not in done.stderr + done.stdout

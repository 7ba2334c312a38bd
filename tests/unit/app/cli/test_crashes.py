"""A command whose process ends by a signal: compiled code of a model does that."""

import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import click
from batchord.app.cli import main
import orders

@click.command()
def predicts():
    orders.mood(None)

main(predicts)
"""


def test_the_line_that_called_compiled_code_is_shown(tmp_path: Path) -> None:
    """Python's own words: file, line and function."""
    (tmp_path / "orders.py").write_text("import ctypes\n\n\ndef mood(frame):\n    return ctypes.string_at(0)\n")
    (tmp_path / "program.py").write_text(_PROGRAM)
    ended = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode < 0
    assert "Segmentation fault" in ended.stderr
    assert f'File "{tmp_path}/orders.py", line 5 in mood' in ended.stderr

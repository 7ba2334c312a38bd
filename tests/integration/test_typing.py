"""Authors' type checkers and editors understand what `batchord` exports."""

import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import batchord

_ROOT = Path(__file__).resolve().parents[2]
_AUTHOR = _ROOT / "tests" / "typing" / "author.py"
#: An author's options; and none of the libraries that declarations use only when they work, to save a minute.
_OPTIONS = """
[mypy]
strict = True
follow_imports = silent

[mypy-torch.*,transformers.*,sklearn.*,skops.*,sqlalchemy.*,psycopg.*,boto3.*,botocore.*,PIL.*,pydantic.*,scipy.*]
follow_imports = skip
ignore_missing_imports = True
"""
_EXPORTS = [getattr(batchord, name) for name in batchord.__all__]


def _reported(output: str) -> dict[int, list[str]]:
    """The messages of mypy by line, without notes that belong to another message."""
    messages: dict[int, list[str]] = {}
    for line, kind, text in re.findall(r"^author\.py:(\d+): (\w+): (.*)$", output, re.MULTILINE):
        if kind == "error" or text.startswith("Revealed type"):
            messages.setdefault(int(line), []).append(text)
    return messages


def test_mypy_understands_an_authors_file(tmp_path: Path) -> None:
    """It reveals the declared types and never Any, and it refuses mistakes, and only them.

    Over 30 seconds on a busy machine: mypy reads the types of pandas.
    """
    (tmp_path / "mypy.ini").write_text(_OPTIONS)
    file = tmp_path / "author.py"
    file.write_text(_AUTHOR.read_text("utf-8"), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        "mypy.ini",
        "--cache-dir",
        str(_ROOT / ".mypy_cache/author"),
    ]
    done = subprocess.run(
        [*command, "--no-pretty", "--hide-error-context", "author.py"],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": "", "MYPYPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    messages = _reported(done.stdout)

    assert done.stderr == ""
    expected: set[int] = set()
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        if revealed := re.search(r"# is: (.+)$", line):
            (text,) = messages[number]
            types = re.sub(r"\b[a-z_]+\.(?=\w)", "", text.removeprefix("Revealed type is "))
            assert types.strip('"') == revealed[1], number
            expected.add(number)
        elif wrong := re.search(r"# wrong: (.+)$", line):
            assert wrong[1].lower() in " ".join(messages.get(number, ["nothing"])).lower(), (
                number,
                messages.get(number),
            )
            expected.add(number)
    assert messages.keys() == expected, {line: messages[line] for line in messages.keys() - expected}
    assert not any("Any" in text for texts in messages.values() for text in texts if text.startswith("Revealed"))


@pytest.mark.parametrize("export", _EXPORTS, ids=batchord.__all__)
def test_an_editor_shows_what_each_argument_means(export: object) -> None:
    """Each exported name has a docstring of its own, which names every argument."""
    text = vars(export).get("__doc__") if isinstance(export, type) else inspect.getdoc(export)

    assert text
    assert not text.startswith(f"{getattr(export, '__name__', '')}("), "the docstring that dataclasses make"
    if dataclasses.is_dataclass(export):
        names = [each.name for each in dataclasses.fields(export) if each.init]
        assert [name for name in names if f"\n        {name}: " not in text] == []
    elif inspect.isfunction(export):
        assert [name for name in inspect.signature(export).parameters if f"    {name}: " not in text] == []

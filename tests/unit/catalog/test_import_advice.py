"""An import that failed is answered with what the author meant."""

from pathlib import Path

import pytest

from batchord.catalog import load
from batchord.catalog.described import described
from tests.unit.catalog.pipeline_files import Write


def _said(folder: Path) -> list[str]:
    return [str(problem) for problem in load(folder).problems]


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (
            ImportError("cannot import name 'Pipeline' from 'app' (app/__init__.py)", name="app"),
            "batchord import Pipeline",
        ),
        (ImportError("cannot import name 'clean' from 'app' (app/__init__.py)", name="app"), ""),
        (ModuleNotFoundError("No module named 'app'", name="app"), "`from batchord import …`"),
        (ModuleNotFoundError("No module named 'workers'", name="workers"), "`from batchord.workers`"),
    ],
)
def test_names_of_before_are_answered_with_those_of_now(error: ImportError, advice: str, tmp_path: Path) -> None:
    """Also where a project has an ``app`` of its own."""
    told = described(error, tmp_path / "a.py", tmp_path)

    assert advice in told
    assert bool(advice) == (": write " in told)


def test_a_module_in_the_same_subfolder_is_told_by_its_whole_name(tmp_path: Path, write: Write) -> None:
    """Modules have one name wherever they are imported; a relative import has none."""
    write("team/words.py", "")
    write("team/a.py", "import words")
    write("2024.py", "from .team import words")

    said = {line.partition(":")[0]: line for line in _said(tmp_path)}

    assert said["team/a.py"].endswith("write its whole name, `team.words`")
    assert "without a dot" in said["2024.py"]


def test_a_module_in_another_subfolder_is_not_to_be_installed(tmp_path: Path, write: Write) -> None:
    """A stranger's package may have its name."""
    write("team/feats_of_ours.py", "")
    write("a.py", "import feats_of_ours")

    (said,) = _said(tmp_path)

    assert said.endswith("write its whole name, `team.feats_of_ours`")


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("no_such_module_here", "pip install no_such_module_here"),
        ("cv2", "pip install opencv-python-headless"),
        ("skops", "pip install 'batchord[sklearn]'"),
    ],
)
def test_a_missing_package_is_to_be_installed_where_workers_run(module: str, command: str, tmp_path: Path) -> None:
    """The author's own machine may have it: the message says which machine lacks it, and gives the command."""
    error = ModuleNotFoundError(f"No module named {module!r}", name=module)

    told = described(error, tmp_path / "a.py", tmp_path)

    assert told.endswith(f", install it where the workers run: `{command}`")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("from helprs import x", "helpers"),
        ("import team.wrods", "team.words"),
        ("from helpers import claen", "clean"),
        ("import sqlalchemy.pol", "sqlalchemy.pool"),
        ("from batchord import Cron", "cron"),
        ("from batchord import SQLSource", "SqlSource"),
    ],
)
def test_a_mistyped_import_is_answered_with_what_was_meant(tmp_path: Path, write: Write, text: str, meant: str) -> None:
    """A module of the author's, or in a library; or a name in one. To install something would not help."""
    write("helpers.py", "def clean(frame):\n    return frame")
    write("team/words.py", "")
    write("a.py", text)

    (problem,) = _said(tmp_path)

    assert problem.endswith(f": did you mean `{meant}`?")
    assert "install" not in problem


def test_a_name_like_that_of_a_library_may_be_either(tmp_path: Path, write: Write) -> None:
    """Mistyped, or a package of its own that is missing."""
    write("a.py", "import jsno")

    asked = ": did you mean `json`? If not, install it where the workers run: `pip install jsno`"
    assert _said(tmp_path)[0].endswith(asked)


def test_a_module_that_its_package_lacks_is_not_to_be_installed(tmp_path: Path, write: Write) -> None:
    """The package is there."""
    write("team/words.py", "")
    write("a.py", "import team.pictures")

    assert _said(tmp_path)[0].endswith(": the package `team` has no such module")

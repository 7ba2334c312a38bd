"""Nothing of the working directory is executed, and pipelines import the same everywhere, wherever one stands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.localstack.background import main
from tests.hostile_folder import make_hostile, run_there

#: What console scripts do: their own folder is the first on ``sys.path``, not the working directory.
_COMMAND = (sys.executable, "-P", "-c", "from batchord.app.cli import main; main()")
_CELERY = (sys.executable, "-P", "-m", "batchord.app.celery_command")
#: Says what it could import, whoever imports it.
_PIPELINE = """
import json, os, sys
from pathlib import Path

import beside
import features.words
from batchord import Pipeline, SqlSource

Path(os.environ["SAID"]).open("a").write(json.dumps([beside.WHERE, features.words.WHERE, sys.path[-2:]]) + "\\n")
words = Pipeline("words", source=SqlSource("SELECT 1 AS id", key="id"), model=lambda frame: frame["id"])
"""
_BEAT = """
from batchord.beat.schedule import PipelineScheduler
from batchord.wiring import catalog
print(catalog().names())
"""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Where one stands."""
    return make_hostile(tmp_path / "hostile")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose pipelines import what lies beside them and below the root; both have a module named json."""
    root = tmp_path / "project"
    for folder, files in {
        "pipelines": {"words.py": _PIPELINE, "beside.py": "WHERE = 'pipelines'", "_json.py": ""},
        "features": {"words.py": "WHERE = 'root'"},
        ".": {"json.py": "raise SystemExit('the root comes last')", "beside.py": "WHERE = 'root'"},
    }.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (root / folder / name).write_text(text)
    return root


def _run(environment: dict[str, str], folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, text=True, capture_output=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    "command",
    [
        (*_CELERY, "report"),  # imports all that a worker imports
        (*_CELERY, "beat", "--help"),
        (*_COMMAND, "pipelines"),
        (sys.executable, "-P", "-m", f"batchord.{main.__module__}", "--help"),
    ],
)
def test_nothing_of_the_working_directory_runs(
    settings_env: dict[str, str], hostile: Path, project: Path, command: tuple[str, ...]
) -> None:
    """Neither Python nor Celery imports from it."""
    told = {"BATCHORD_PIPELINES": str(project / "pipelines"), "SAID": os.devnull}
    ended = _run(settings_env | told, hostile, *command)

    assert run_there(hostile) == ""
    assert ended.returncode == 0, ended.stderr


def test_celery_imports_nothing_of_it_once_the_app_is_known(settings_env: dict[str, str], hostile: Path) -> None:
    """Whoever starts Celery: what the settings name is imported as Python imports it."""
    program = "from batchord.app.celery import app; app.loader.import_default_modules(); print(app.control, app.Beat)"
    ended = _run(settings_env, hostile, sys.executable, "-P", "-c", program)

    assert run_there(hostile) == ""
    assert ended.returncode == 0, ended.stderr


def test_celery_works_inside_the_repository(settings_env: dict[str, str]) -> None:
    """As a person types it."""
    root = Path(__file__).resolve().parents[2]
    celery = "import sys; from celery.__main__ import main; sys.argv[0] = 'celery'; main()"
    ended = _run(settings_env, root, sys.executable, "-P", "-c", celery, "-A", "app", "report")

    assert ended.returncode == 0, ended.stderr
    assert "app.celery_loader" in ended.stdout


@pytest.mark.parametrize("folder", ["hostile", "project/pipelines"])
def test_pipelines_import_the_same_from_everywhere(
    settings_env: dict[str, str], hostile: Path, project: Path, tmp_path: Path, folder: str
) -> None:
    """The project's root, then the pipelines' folder, after all that is installed; alike for commands and beat."""
    said = tmp_path / "said"
    told = settings_env | {"BATCHORD_PIPELINES": str(project / "pipelines"), "SAID": str(said)}
    for command in ((*_COMMAND, "pipelines"), (sys.executable, "-P", "-c", _BEAT)):
        ended = _run(told, tmp_path / folder, *command)
        assert "words" in ended.stdout, ended.stderr

    lines = set(said.read_text().splitlines())
    paths = [str(project), str(project / "pipelines")]
    assert [json.loads(line) for line in lines] == [["root", "root", paths]]
    assert run_there(hostile) == ""

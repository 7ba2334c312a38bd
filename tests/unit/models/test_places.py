"""What is wrong with a model's files is said with the line that names them, and with the path that was meant."""

import sys
from pathlib import Path

import pytest

from batchord.catalog import load
from batchord.core.errors import ConfigurationError, ModelNotFound
from batchord.models.library import ModelLibrary
from batchord.storage.objects import Objects

_FILE = """
from batchord import Pipeline, SklearnModel, SqlSource, TransformersText

FOLDER = "models"
model = MODEL
prices = Pipeline("prices", source=SqlSource("SELECT 1 AS id", key="id"), model=model)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a model in ``models/prices/v1.skops``."""
    monkeypatch.chdir(tmp_path)
    # Without what other tests have left there, of which a place is told as seen from the outermost.
    others = [entry for entry in sys.path if not tmp_path.is_relative_to(entry or "/")]
    monkeypatch.setattr(sys, "path", [*others, str(tmp_path)])
    for folder in ("models/prices", "pipelines"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "models/prices/v1.skops").touch()
    (tmp_path / "models/old.pkl").touch()
    return tmp_path


def _error_of(project: Path, model: str) -> str:
    (project / "pipelines/prices.py").write_text(_FILE.replace("MODEL", model))
    (step,) = load(project / "pipelines").pipelines["prices"].predict_steps
    with pytest.raises((ModelNotFound, ConfigurationError)) as raised:
        ModelLibrary(home=project / "home", objects=Objects()).version(step.declared_model)
    return str(raised.value)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("models/prices/v2.skops", "models/prices/v1.skops"),
        ("models/prizes/v1.skops", "models/prices/v1.skops"),
        ("model/prices/v1.skops", "models/prices/v1.skops"),
        ("model/letters/v1.skops", "models"),
    ],
)
def test_a_wrong_path_is_answered_with_the_one_that_was_meant(project: Path, path: str, meant: str) -> None:
    """With the path as Batchord looked for it, and the line that names it."""
    told = _error_of(project, f"SklearnModel({path!r})")

    assert told.startswith(f"{path!r} does not exist on this machine ({project / path}): did you mean {meant!r}? ")
    assert told.endswith(" The model is declared at pipelines/prices.py:5.")


def test_a_path_like_no_other_is_only_told(project: Path) -> None:
    """A guess would mislead."""
    told = _error_of(project, "SklearnModel('/nowhere/at/all.skops')")

    assert told.startswith(
        "'/nowhere/at/all.skops' does not exist on this machine (/nowhere/at/all.skops). Every worker"
    )


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("SklearnModel('models/old.pkl')", "pipelines/prices.py:5"),
        ("SklearnModel(FOLDER + '/letters')", "pipelines/prices.py"),
        ("TransformersText('models/prises', text='body')", "pipelines/prices.py:5"),
    ],
    ids=["pickle", "computed", "hub"],
)
def test_other_problems_of_its_files_name_the_line_too(project: Path, model: str, place: str) -> None:
    """Only the file, if it computes the path."""
    assert _error_of(project, model).endswith(f" The model is declared at {place}.")

"""Where models come from: folders, S3, the hub; what is checked, and when."""

import multiprocessing
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import SecretStr

from batchord import FunctionModel, Model, SklearnModel, TransformersText
from batchord.core.errors import ConfigurationError, ModelNotFound, TransientError
from batchord.models.library import ModelLibrary
from batchord.models.versions import readable_name
from batchord.storage.objects import Objects
from tests.contracts import small_models

pytestmark = pytest.mark.torch

_FRAME = pd.DataFrame({"body": ["a good film", "an awful book"]}, index=[1, 2])
_NOWHERE = "http://127.0.0.1:1"


def library(home: Path, objects: Objects | None = None) -> ModelLibrary:
    """A library that reaches no store unless it is given one."""
    away = Objects(endpoint_url=_NOWHERE, access_key_id=SecretStr("k"), secret_access_key=SecretStr("s"), attempts=1)
    return ModelLibrary(home=home, objects=objects or away, hub_url=_NOWHERE)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("models/sentiment/7", "sentiment-7"),
        ("models/minilm", "minilm"),
        ("churn/v2/model.skops", "churn-v2-model"),
        ("/srv/mood.skops", "mood"),
        ("org/all MiniLM (L6)", "all-MiniLM-L6"),
        ("7", "7"),
        ("", "model"),
    ],
)
def test_names_are_readable(path: str, name: str) -> None:
    """The end of the path, with what a bare number is a version of."""
    assert readable_name(path, is_file=path.endswith(".skops")) == name


def test_importing_and_asking_for_versions_loads_no_ml_library(tmp_path: Path) -> None:
    """Beat and the command line stay light."""
    folder = small_models.save_text_classifier(tmp_path / "model")
    program = f"""
import sys
from pathlib import Path
from typing import Any
from batchord.storage.images import ImageReader
from batchord.models.library import ModelLibrary
from batchord.storage.objects import Objects
from batchord import TransformersText
library = ModelLibrary(home=Path({str(tmp_path)!r}), objects=Objects())
print(library.version(TransformersText({str(folder)!r}, text="body")))
heavy = {{"torch", "transformers", "sklearn", "skops", "huggingface_hub", "tokenizers", "boto3"}} & set(sys.modules)
sys.exit(f"loaded: {{heavy}}" if heavy else 0)
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("model@") is False
    assert "@" in done.stdout


def test_what_is_no_part_of_a_model_does_not_change_its_version(tmp_path: Path) -> None:
    """A README, hidden files and training states may come and go; weights and settings may not."""
    declared = TransformersText(str(small_models.save_text_classifier(tmp_path / "mood")), text="body")
    models = library(tmp_path)
    version = models.version(declared)

    (tmp_path / "mood" / "README.md").write_text("About.")
    (tmp_path / "mood" / ".cache.json").write_text("{}")
    (tmp_path / "mood" / "optimizer.pt").write_bytes(b"state")
    assert models.version(declared) == version

    (tmp_path / "mood" / "added.json").write_text("{}")
    assert models.version(declared) != version


@pytest.mark.parametrize("version", ["../../etc@0123456789ab", "mood-1@../../x", "mood-1@0123456789ab+../x", "x", ""])
def test_versions_name_no_paths(tmp_path: Path, version: str) -> None:
    """A version comes from the ledger, and its weights' folder is named after it."""
    with pytest.raises((ModelNotFound, TransientError)):
        library(tmp_path).load(TransformersText("s3://models/mood/1", text="body"), version)


def test_a_store_that_is_away_is_a_passing_failure(tmp_path: Path) -> None:
    """Not the model's fault: the run is tried again."""
    with pytest.raises(TransientError, match="models/mood"):
        library(tmp_path).version(TransformersText("s3://models/mood/1", text="body"))


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    """Unpickling runs whatever the file holds; the message says how to get out."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")

    with pytest.raises(ConfigurationError, match=r"pytorch_model\.bin.*save_pretrained"):
        library(tmp_path).version(TransformersText(str(tmp_path), text="body"))


def test_missing_folders_are_named(tmp_path: Path) -> None:
    """With the place that was looked at."""
    with pytest.raises(ModelNotFound, match="absent"):
        library(tmp_path).version(TransformersText(str(tmp_path / "absent"), text="body"))
    with pytest.raises(ModelNotFound, match=r"absent\.skops"):
        library(tmp_path).version(SklearnModel("absent.skops", text="body"))


def test_a_hub_id_needs_a_commit(tmp_path: Path) -> None:
    """A name on the hub stands for other weights tomorrow."""
    with pytest.raises(ConfigurationError, match=r"revision='…' with all 40 digits"):
        library(tmp_path).version(TransformersText("org/mood", text="body"))


def test_a_hub_that_is_away_is_a_passing_failure(tmp_path: Path) -> None:
    """The version needs no hub. The download fails at once with the cause and the alternatives."""
    declared = TransformersText("org/mood", text="body", revision="0123456789abcdef" * 2 + "01234567")
    models = library(tmp_path)
    version = models.version(declared)

    assert version.startswith("mood@0123456789ab")
    with pytest.raises(TransientError, match=r"'org/mood' at commit 0123.*s3:// prefix"):
        models.load(declared, version)


def _predict_in_child(models: ModelLibrary, declared: Model, version: str) -> None:
    output = models.load(declared, version).predict(_FRAME)
    # Past pytest's handlers, which belong to the parent.
    os._exit(0 if len(output) == len(_FRAME) else 1)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # what is tested here
def test_a_library_made_before_a_fork_works_after_it(tmp_path: Path) -> None:
    """Celery forks its workers, and the parent's tensor threads and locks do not work in the children."""
    folder = small_models.save_text_classifier(tmp_path / "mood")
    # In a new process, as a worker is: this one has threads of other tests, and a fork might copy a held lock.
    parent = multiprocessing.get_context("spawn").Process(target=_predict_before_and_after_a_fork, args=(folder,))
    parent.start()
    parent.join(120)

    assert parent.exitcode == 0


def _predict_before_and_after_a_fork(folder: Path) -> None:
    declared = TransformersText(str(folder), text="body")
    models = library(folder)
    version = models.version(declared)
    models.load(declared, version).predict(_FRAME)

    child = multiprocessing.get_context("fork").Process(target=_predict_in_child, args=(models, declared, version))
    child.start()
    child.join(60)
    sys.exit(child.exitcode != 0)


def _shout(frame: pd.DataFrame) -> "pd.Series[str]":
    return frame["body"].str.upper()


def _whisper(frame: pd.DataFrame) -> "pd.Series[str]":
    return frame["body"].str.lower()


def test_a_functions_version_is_its_source(tmp_path: Path) -> None:
    """Or the version that the author declares."""
    models = library(tmp_path)

    assert models.version(FunctionModel(_shout)).startswith("_shout@")
    assert models.version(FunctionModel(_shout)) != models.version(FunctionModel(_whisper))
    assert models.version(FunctionModel(_shout, version="3")) == "_shout@3"


def test_a_function_without_source_needs_a_version(tmp_path: Path) -> None:
    """Python's own, or one made at run time, has no text to take a digest of."""
    made: dict[str, Any] = {"__name__": "made"}
    exec("def made(frame):\n    return frame", made)  # noqa: S102 -- as libraries do

    for function in (len, made["made"], partial(len)):
        with pytest.raises(ConfigurationError, match="version='1'"):
            library(tmp_path).version(FunctionModel(function))
    assert library(tmp_path).version(FunctionModel(partial(_shout), version="1")) == "partial@1"

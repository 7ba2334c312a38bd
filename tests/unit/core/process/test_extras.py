"""Libraries that only some models and features need: Batchord works without them, and says how to get them."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from batchord.core.process.extras import _MODULES, Extra

_ROOT = Path(__file__).parents[4]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program in an interpreter without the libraries of any extra."""
    absent = sorted(module for modules in _MODULES.values() for module in modules)
    code = (
        "import sys\nfrom importlib.machinery import PathFinder\n"
        f"absent, real = {absent!r}, PathFinder.find_spec\n"
        "def find_spec(name, path=None, target=None):\n"
        "    return None if name.partition('.')[0] in absent else real(name, path, target)\n"
        "PathFinder.find_spec = staticmethod(find_spec)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BATCHORD_")}
    return subprocess.run(
        [sys.executable, "-c", code + program],
        cwd=folder,
        env=environment | {"BATCHORD_HOME": str(folder), "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_extra_is_installable_and_models_has_all_that_models_need() -> None:
    """What an error tells people to install exists, and installs what is missing.

    pyarrow would change pandas. Kinds of models with libraries of their own are installed one by one.
    """
    apart = {Extra.PARQUET, Extra.ONNX, Extra.XGBOOST, Extra.LIGHTGBM, Extra.CATBOOST}
    extras = _PROJECT["optional-dependencies"]

    for extra in Extra:
        assert {Requirement(text).name for text in extras[extra]} >= {name.lower() for name in _MODULES[extra].values()}
    (everything,) = map(Requirement, extras["models"])
    assert (everything.name, everything.extras) == ("batchord", set(Extra) - apart)


def test_every_module_of_the_core_works_without_them(tmp_path: Path) -> None:
    """Only the modules that load a model, decode a picture or send a message need them."""
    files = [file for top in ("batchord", "app", "workers", "beat") for file in sorted((_ROOT / top).rglob("*.py"))]
    programs = {"app/dashboard/flowerconfig.py", "app/localstack/s3_server.py", "batchord/people/delivery.py"}
    pictures = {"batchord/storage/images/decoding.py", "batchord/storage/images/modes.py"}
    modules = [
        ".".join(file.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__")
        for file in files
        if "migrations" not in file.parts and file.relative_to(_ROOT).as_posix() not in programs | pictures
    ]

    done = run(f"import importlib\nfor name in {modules!r}: importlib.import_module(name)", tmp_path)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        (
            "SklearnModel('model.skops', text='body')",
            "scikit-learn, skops, threadpoolctl are not installed here: pip install 'batchord[sklearn]'",
        ),
        (
            "TransformersText('model', text='body')",
            (
                "torch, transformers, safetensors, huggingface-hub are not installed here: "
                "pip install 'batchord[transformers]'"
            ),
        ),
        (
            "FunctionModel(len, images=Images(column='photo', allow=['file:///photos/']), version='1')",
            "Pillow is not installed here: pip install 'batchord[images]'",
        ),
        (
            "TransformersImage('model', images=Images(column='photo', allow=['file:///photos/']))",
            "pip install 'batchord[transformers,images]'",
        ),
    ],
)
def test_loading_a_model_names_the_command(tmp_path: Path, declared: str, told: str) -> None:
    """In a worker and in a local run alike: both load models by the library."""
    for name in ("model.skops", "model/config.json", "model/model.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"{}")
    program = f"""
from pathlib import Path
from batchord import FunctionModel, Images, SklearnModel, TransformersImage, TransformersText
from batchord.models.library import ModelLibrary
from batchord.storage.objects import Objects
library = ModelLibrary(home=Path("home"), objects=Objects())
declared = {declared}
library.load(declared, library.version(declared))
"""
    done = run(program, tmp_path)

    assert "MissingExtra: " in done.stderr
    assert done.stderr.rstrip().endswith(told)


def test_an_alert_names_the_command(tmp_path: Path) -> None:
    """The receiver is named without its secrets, and workers with receivers refuse to start."""
    send = """
from batchord.people import AppriseNotifier
AppriseNotifier().send("json://user:secret@example.com", title="a", body="b", failure=False)
"""
    start = """
import os
os.environ["BATCHORD_ALERT_URLS"] = "json://user:secret@example.com"
from workers.lifecycle import refuse_wrong_configuration
refuse_wrong_configuration()
"""
    for program in (send, start):
        done = run(program, tmp_path)
        assert done.stderr.rstrip().endswith("apprise is not installed here: pip install 'batchord[alerts]'")
        assert "secret" not in done.stderr

"""A file that a model's files name is loaded only if it is part of the model."""

import json
from pathlib import Path
from typing import Any

import pytest

from batchord import TransformersImage, TransformersText
from batchord.core.errors import ConfigurationError, ModelNotFound
from batchord.models.library import ModelLibrary
from batchord.models.local_files import nothing_but_parts
from batchord.storage.objects import Objects

_SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model in two shards, as far as its files' names go; beside it lies another."""
    folder = tmp_path / "mood"
    _write(folder / "config.json", {"model_type": "bert"})
    _write(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": {"a": _SHARDS[0], "b": _SHARDS[1]}})
    for name in (*_SHARDS, "../stolen.safetensors", "pytorch_model.bin", ".hidden.safetensors"):
        (folder / name).write_bytes(b"weights")
    return folder


def _write(file: Path, notes: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(notes))


def _load(folder: Path, declared: TransformersText | TransformersImage | None = None) -> None:
    library = ModelLibrary(home=folder.parent / "home", objects=Objects())
    declared = declared or TransformersText(str(folder), text="body")
    library.load(declared, library.version(declared))


@pytest.mark.parametrize(
    ("shard", "why"),
    [
        ("../stolen.safetensors", "loads nothing from outside"),
        ("{folder}/../stolen.safetensors", "loads nothing from outside"),
        ("/etc/passwd", "loads nothing from outside"),
        ("./model-00001-of-00002.safetensors", "loads nothing from outside"),
        ("x/../../stolen.safetensors", "loads nothing from outside"),
        ("..\\stolen.safetensors", "loads nothing from outside"),
        ("", "loads nothing from outside"),
        ("pytorch_model.bin", "never loads"),
        ("absent.bin", "never loads"),
        (".hidden.safetensors", "never loads"),
        ("weights.pt", "never loads"),
    ],
)
def test_an_index_names_only_parts_of_the_model(model: Path, shard: str, why: str) -> None:
    """Other names are refused in one line, before anything is loaded."""
    shard = shard.format(folder=model)
    _write(model / "model.safetensors.index.json", {"metadata": {}, "weight_map": {"a": _SHARDS[0], "b": shard}})

    with pytest.raises(ConfigurationError, match=why) as caught:
        _load(model)
    assert "model.safetensors.index.json" in str(caught.value)
    assert repr(shard) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_shard_that_is_not_there_is_missing(model: Path) -> None:
    """The copy is not complete."""
    (model / _SHARDS[1]).unlink()

    with pytest.raises(ModelNotFound, match=_SHARDS[1]):
        _load(model)


@pytest.mark.parametrize(
    ("file", "notes"),
    [
        ("config.json", {"transformers_weights": "../stolen.safetensors"}),
        ("config.json", {"transformers_weights": "adapter_model.bin"}),
        ("config.json", {"transformers_weights": ".hidden.safetensors"}),
        ("config.json", {"transformers_weights": ["model.safetensors"]}),
        ("config.json", {"transformers_weights": "other.safetensors.index.json"}),
        ("tokenizer_config.json", {"fast_tokenizer_files": ["tokenizer.json", "../tokenizer.4.json"]}),
    ],
)
def test_other_files_that_name_files_are_looked_at_alike(model: Path, file: str, notes: dict[str, Any]) -> None:
    """A configuration may say where the weights or the tokenizer are."""
    _write(model / "other.safetensors.index.json", {"metadata": {}, "weight_map": {"a": "../stolen.safetensors"}})
    (model / "tokenizer.json").write_text("{}")
    _write(model / file, notes)

    with pytest.raises(ConfigurationError, match=r"loads nothing from outside|never loads"):
        _load(model)


@pytest.mark.parametrize("text", ["{", "[]", '"text"', "[" * 100_000])
def test_a_damaged_index_is_no_model(model: Path, text: str) -> None:
    """Said with its name."""
    (model / "model.safetensors.index.json").write_text(text)

    with pytest.raises(ModelNotFound, match=r"damaged model\.safetensors\.index\.json"):
        _load(model)


def test_an_adapter_is_not_left_out_silently(model: Path) -> None:
    """Without peft transformers would load the model without it, and call that the same version."""
    _write(model / "adapter_config.json", {"base_model_name_or_path": "../other"})

    with pytest.raises(ConfigurationError, match="but peft, which applies it, is not installed"):
        _load(model)


@pytest.mark.parametrize("value", ["org/kernel", "org/kernel@main:function", {"text_config": "org/kernel"}])
def test_code_that_a_configuration_names_is_refused(model: Path, value: Any) -> None:
    """Else compiled code would be fetched from the hub."""
    _write(model / "config.json", {"attn_implementation": value})

    with pytest.raises(ConfigurationError, match="code of its own"):
        _load(model)


def test_a_library_sees_nothing_but_the_files_of_the_version(model: Path) -> None:
    """No pickle, no hidden file, no code: what is there and no part of the model cannot be loaded."""
    for name in ("modeling_mood.py", "tokenizer.pkl", "adapter_model.bin", "1_Pooling/config.json", "README.md"):
        _write(model / name, {})
    declared = TransformersText(str(model), text="body")

    with nothing_but_parts(declared, model) as parts:
        found = sorted(file.relative_to(parts).as_posix() for file in parts.rglob("*") if file.is_file())

    assert found == ["1_Pooling/config.json", "config.json", *_SHARDS, "model.safetensors.index.json"]


@pytest.mark.parametrize("file", ["linked/config.json", "1_Pooling/config.json", "generation_config.json"])
def test_every_file_that_can_be_loaded_is_a_part_of_the_version(model: Path, file: str) -> None:
    """Also below a linked folder; a link in a circle does no harm."""
    elsewhere = model.parent / "elsewhere"
    _write(elsewhere / "config.json", {})
    (model / "linked").symlink_to(elsewhere)
    (elsewhere / "circle").symlink_to(model)
    _write(model / file, {"a": 1})
    library = ModelLibrary(home=model.parent / "home", objects=Objects())
    declared = TransformersText(str(model), text="body")
    version = library.version(declared)

    _write(model / file, {"a": 2})

    assert library.version(declared) != version

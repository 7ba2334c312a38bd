"""Checks the file names in a model's own files: each must be a part of the model."""

import json
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from batchord.core.declared.models import StoredModel
from batchord.core.errors import ConfigurationError, ModelNotFound

_ADAPTER = "adapter_config.json"
_WEIGHTS, _INDEX = "model.safetensors", ".safetensors.index.json"


def check_references(declared: StoredModel, folder: Path, names: Collection[str]) -> None:
    """Checks the references in the model's files ``names`` in ``folder``, before anything is loaded.

    transformers joins such a reference to the folder and opens the file: ``../`` leads out of the folder, and a
    ``.bin`` is a pickle. Raises ConfigurationError for a reference to a file that is not a part of the model,
    ModelNotFound for a missing part.
    """
    if _ADAPTER in names and find_spec("peft") is None:
        raise ConfigurationError(
            f"{declared.location} holds an adapter ({_ADAPTER}), but peft, which applies it, is not installed here. "
            "Install peft where the workers run, or merge the adapter into the weights and save them again."
        )
    config = _notes(declared, folder, "config.json")
    _refuse_kernels(declared, config)
    weights = config.get("transformers_weights")
    if weights is not None:
        _check(declared, "config.json", str(weights), names)
    if "tokenizer_config.json" in names:
        for tokenizer in _texts(_notes(declared, folder, "tokenizer_config.json").get("fast_tokenizer_files")):
            _check(declared, "tokenizer_config.json", tokenizer, names)
    # transformers ignores an index beside whole weights.
    index = str(weights or "") or (_WEIGHTS if _WEIGHTS in names else f"model{_INDEX}")
    if index.endswith(_INDEX) and index in names:
        for shard in _texts(_notes(declared, folder, index).get("weight_map")):
            _check(declared, index, shard, names)


def _refuse_kernels(declared: StoredModel, config: dict[str, Any]) -> None:
    """Raises ConfigurationError for a name with a slash: transformers would download compiled code and run it."""
    for key, value in config.items():
        names = [value] if isinstance(value, str) else _texts(value)
        if key.endswith("attn_implementation") and any("/" in name for name in names):
            raise ConfigurationError(
                f"{declared.location}: config.json names code of its own ({key}={value!r}), which Batchord never runs: "
                f"remove {key} from it."
            )


def _notes(declared: StoredModel, folder: Path, name: str) -> dict[str, Any]:
    try:
        notes = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelNotFound(f"{declared.location} has a damaged {name} ({error}): save the model again.") from error
    if not isinstance(notes, dict):
        raise ModelNotFound(f"{declared.location} has a damaged {name} (not a JSON object): save the model again.")
    return notes


def _texts(value: Any) -> list[str]:
    """The texts in a list, or among the values of a mapping, each once."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sorted({text for text in values if isinstance(text, str)})


def _check(declared: StoredModel, name: str, part: str, names: Collection[str]) -> None:
    if part in names:
        return
    if not {"", ".", ".."}.isdisjoint(part.split("/")) or "\\" in part:
        raise ConfigurationError(
            f"{declared.location}: {name} names {part!r}, which is outside the model's own folder. Batchord loads "
            "nothing from outside. Save the model again with save_pretrained."
        )
    if not declared.is_part(part):
        raise ConfigurationError(
            f"{declared.location}: {name} names {part!r}, which Batchord never loads: only .safetensors files hold "
            "weights without code. If you trust the model, load it once and save it again."
        )
    raise ModelNotFound(f"{declared.location}: {name} names {part!r}, but this file is missing: save the model again.")

"""Files that a model's own files name: only parts of the model itself are followed."""

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
    """Checks what the files ``names`` in ``folder`` name, before any of it is loaded.

    transformers joins such a name to the folder and opens what is there: ``../`` leads out of it, and a ``.bin`` is a
    pickle. Raises ConfigurationError for a name that is no part of the model, ModelNotFound for one that is missing.
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
    # An index beside whole weights is not looked at.
    index = str(weights or "") or (_WEIGHTS if _WEIGHTS in names else f"model{_INDEX}")
    if index.endswith(_INDEX) and index in names:
        for shard in _texts(_notes(declared, folder, index).get("weight_map")):
            _check(declared, index, shard, names)


def _refuse_kernels(declared: StoredModel, config: dict[str, Any]) -> None:
    """A name with a slash stands for compiled code on the hub, which transformers would fetch and run."""
    for key, value in config.items():
        named = [value] if isinstance(value, str) else _texts(value)
        if key.endswith("attn_implementation") and any("/" in name for name in named):
            raise ConfigurationError(
                f"{declared.location}: config.json names code of its own ({key}={value!r}), which Batchord never runs: "
                f"remove {key} from it."
            )


def _notes(declared: StoredModel, folder: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelNotFound(f"{declared.location} has a damaged {name} ({error}): save the model again.") from error
    if not isinstance(found, dict):
        raise ModelNotFound(f"{declared.location} has a damaged {name} (not a JSON object): save the model again.")
    return found


def _texts(value: Any) -> list[str]:
    """The texts in a list, or among the values of a mapping, each once."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sorted({each for each in values if isinstance(each, str)})


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

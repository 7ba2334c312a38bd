"""What all transformers models share: the device, and loading weights without surprises."""

import json
import logging
import os
from pathlib import Path
from typing import Any

from batchord.core.errors import ConfigurationError, ModelNotFound
from batchord.core.text.error_text import clause
from batchord.models.classes import likelihoods, refused
from batchord.models.transformer import TransformersImage, TransformersText

log = logging.getLogger(__name__)

#: Weights that a checkpoint may lack: Batchord's embeddings do not use a text model's pooler.
_NOT_NEEDED = "pooler."


def set_up_torch(threads: int) -> None:
    """Gives this process ``threads`` threads for tensors, and silences output that is meant for notebooks."""
    # The tokenizers read this variable at each call. If it is not set, they warn after a fork of the process.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true" if threads > 1 else "false")
    import torch
    from transformers.utils import logging

    torch.set_num_threads(threads)
    logging.disable_progress_bar()
    logging.set_verbosity_error()


def notes(folder: Path, name: str, location: str) -> Any:
    """The contents of the JSON file ``name`` in a model's folder; None if there is no such file.

    Raises ModelNotFound if the file is damaged.
    """
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ModelNotFound(f"{location} has a damaged {name} ({error}): save the model again.") from error


def device_of(declared: str) -> str:
    """``cuda`` or ``cpu`` for ``auto``; any other device as it is declared.

    Raises ConfigurationError if this machine lacks the device. If it silently took the CPU instead, a run would be many
    times slower, and nobody would know why.
    """
    import torch

    if declared == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = declared.partition(":")
    if kind == "cuda" and torch.cuda.device_count() <= int(index or 0):
        raise ConfigurationError(
            f"device={declared!r}, but this machine has {torch.cuda.device_count()} CUDA devices: use 'auto', or start "
            "the workers of this queue on the machine with the card."
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigurationError("device='mps', but this machine has no Metal device: use 'auto'.")
    return declared


def load_weights(
    auto_class: Any, folder: Path, declared: TransformersText | TransformersImage, device: str, *, copied: bool
) -> Any:
    """The model in ``folder`` on ``device``, ready for inference, in ``declared.dtype``.

    On a CPU, weights of the declared type are not copied: all processes share the file, mapped into memory. Pass
    ``copied`` if somebody may write to the file. Otherwise overwriting it would change the predictions of a loaded
    model, and shortening it would kill the process.

    Raises ModelNotFound for files that are missing or damaged. Raises ConfigurationError for a model that needs code of
    its own, or that lacks weights for the task: transformers itself would fill these at random.
    """
    import torch
    from safetensors import SafetensorError

    location = declared.location
    if declared.dtype == "bfloat16" and device == "cpu" and not _has_bfloat16():
        log.warning("%s: this processor has no bfloat16 instructions. float32 is faster here.", location)
    try:
        model, report = auto_class.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=getattr(torch, declared.dtype),
            output_loading_info=True,
        )
    except (OSError, SafetensorError) as error:
        raise ModelNotFound(
            f"{location} cannot be loaded: {clause(error)}. Save the model again with save_pretrained."
        ) from error
    except (ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ConfigurationError(
            f"{auto_class.__name__} cannot load {location} with the libraries installed here, or the model needs code "
            f"of its own, which Batchord never runs: {error}"
        ) from error
    missing = sorted(name for name in report["missing_keys"] if _NOT_NEEDED not in name)
    if missing or report["mismatched_keys"]:
        raise ConfigurationError(
            f"{location} lacks weights that {type(model).__name__} needs ({', '.join(missing[:5]) or 'wrong shapes'}): "
            "fine-tune it for this task first, or use task='embed', which needs no head."
        )
    if copied:
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()
    return model.eval().requires_grad_(requires_grad=False).to(device)


def _has_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16: AVX512-BF16 or AMX on x86, BF16 on Arm."""
    import torch

    return any(has for name, has in torch.cpu.get_capabilities().items() if "bf16" in name)


def classified(model: Any, logits: Any, declared: TransformersText | TransformersImage) -> dict[str, list[Any]]:
    """The columns for the logits of a model, one row for each row.

    A classifier's softmax gives ``label`` and its ``score``, or what ``proba=`` asks for. A regression gives its output
    as ``score``. If the model gives several labels at once, its sigmoid gives these columns, and ``labels`` holds all
    labels of at least 0.5.

    Raises ConfigurationError if ``proba=`` is not the name of a class.
    """
    import torch

    config = model.config
    logits = logits.float().cpu()
    several = config.problem_type == "multi_label_classification"
    if config.problem_type == "regression" or (config.num_labels == 1 and not several):
        if declared.proba is not None:
            raise ConfigurationError(
                f"proba={declared.proba!r}, but {declared.location} returns numbers, not classes: leave proba= out."
            )
        names = [f"score_{index}" for index in range(logits.shape[1])] if logits.shape[1] > 1 else ["score"]
        return refused({name: column.tolist() for name, column in zip(names, logits.T, strict=True)}, logits.numpy())
    shares = torch.sigmoid(logits) if several else torch.softmax(logits, dim=-1)
    chosen = shares.argmax(dim=-1).tolist()
    names = [str(config.id2label.get(index, index)) for index in range(logits.shape[1])]
    columns: dict[str, list[Any]] = {"label": [names[index] for index in chosen]}
    columns |= likelihoods(shares.numpy(), chosen, names, proba=declared.proba, model=declared.location)
    if several:
        columns["labels"] = [[names[index] for index in torch.nonzero(row >= 0.5)[:, 0].tolist()] for row in shares]  # noqa: PLR2004
    return refused(columns, shares.numpy())


def embedded(vectors: Any) -> dict[str, list[Any]]:
    """Column ``embedding`` from vectors of rows x width."""
    vectors = vectors.float().cpu()
    return refused({"embedding": vectors.tolist()}, vectors.numpy())


def columns_without_rows(model: Any, declared: TransformersText | TransformersImage) -> dict[str, list[Any]]:
    """The columns of the declared task, without rows. Raises ConfigurationError if ``proba=`` is not a class's name."""
    import torch

    if declared.task == "embed":
        return {"embedding": []}
    return classified(model, torch.zeros(1, model.config.num_labels)[:0], declared)


def joined(parts: list[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    """The columns of consecutive parts, joined."""
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}

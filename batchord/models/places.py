"""Where a declared location lies, and which of its files make up the model."""

import re
from pathlib import Path, PurePosixPath

from batchord.core.declared.models import Model, SklearnModel, TransformersImage, TransformersText
from batchord.core.errors import ConfigurationError, ModelNotFound

#: ``name`` or ``org/name``, as on the Hugging Face hub.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
#: What transformers reads of a folder. Pickles (.bin, .pt, .ckpt) are not among them, nor is code (.py);
#: README files and training states do not change a version.
_TRANSFORMERS = frozenset({".safetensors", ".json", ".txt", ".model", ".spm", ".bpe", ".vocab", ".tiktoken"})
_SKLEARN = frozenset({".skops"})
#: Weights that hold pickles, named where they are all there is.
_PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib"})

Stored = SklearnModel | TransformersText | TransformersImage


def stored(declared: Model) -> Stored:
    """``declared`` as one of the kinds that have files. Raises ConfigurationError for any other."""
    if isinstance(declared, SklearnModel | TransformersText | TransformersImage):
        return declared
    raise ConfigurationError(
        f"{type(declared).__name__} is no model that this version of Batchord can load: "
        "use SklearnModel, TransformersText, TransformersImage or a function."
    )


def wanted(declared: Stored, name: str) -> bool:
    """Whether the file ``name`` (below the model's folder) is a part of the model; hidden files never are."""
    path = PurePosixPath(name)
    suffixes = _SKLEARN if isinstance(declared, SklearnModel) else _TRANSFORMERS
    return path.suffix in suffixes and not any(part.startswith(".") for part in path.parts)


def hub_patterns() -> list[str]:
    """The files to ask a hub for."""
    return [f"*{suffix}" for suffix in sorted(_TRANSFORMERS)]


def check_files(declared: Stored, names: list[str]) -> None:
    """Checks ``names``, all the files that are stored, before anything is read or downloaded.

    Raises ModelNotFound when the weights are missing, ConfigurationError when they cannot be used.
    """
    parts = [name for name in names if wanted(declared, name)]
    if isinstance(declared, SklearnModel):
        if len(parts) > 1:
            raise ConfigurationError(
                f"{declared.location} holds {len(parts)} .skops files ({', '.join(sorted(parts)[:5])}): "
                "name the one to use."
            )
        complete, needed = bool(parts), "a .skops file (write one with skops.io.dump)"
    else:
        complete = any(name.endswith(".safetensors") for name in parts) and "config.json" in parts
        needed = "config.json and *.safetensors (write them with model.save_pretrained)"
    if complete:
        return
    pickled = sorted(name for name in names if PurePosixPath(name).suffix in _PICKLES)
    if pickled:
        raise ConfigurationError(
            f"{declared.location} holds pickled weights only ({', '.join(pickled[:5])}), and unpickling runs whatever "
            f"code they hold: it needs {needed}. Load it once where you trust it and save it anew."
        )
    raise ModelNotFound(
        f"{declared.location} holds no model: it needs {needed}; it has {sorted(names)[:10] or 'no file'}."
    )


def local_path(declared: Stored) -> Path | None:
    """The file or folder of a local model; None for a hub id.

    Raises ModelNotFound for a path that does not exist, ConfigurationError for a hub id without a revision.
    """
    path = Path(declared.location).expanduser()
    if path.exists():
        return path
    revision = getattr(declared, "revision", None)
    if isinstance(declared, SklearnModel) or not _HUB_ID.fullmatch(declared.location):
        raise ModelNotFound(
            f"{declared.location!r} does not exist on this machine (looked at {path.absolute()}): every worker "
            "needs the files under this path; give an s3:// prefix for models that machines share."
        )
    if revision is None:
        raise ConfigurationError(
            f"{declared.location!r} is no folder here ({path.absolute()}), and as a hub id it needs a pinned commit, "
            "since what a name stands for changes: give revision='…' with all 40 digits of the commit."
        )
    return None

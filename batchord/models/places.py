"""Tells whether a declared location is a path on this machine or an id on a hub."""

import re
from pathlib import Path

from batchord.core.declared.models import StoredModel
from batchord.core.errors import ConfigurationError, ModelNotFound
from batchord.core.text.similar import closest

#: ``name`` or ``org/name``, as on the Hugging Face hub.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def local_path(declared: StoredModel) -> Path | None:
    """The file or folder of a local model; None for a hub id.

    Raises ModelNotFound for a path that does not exist, ConfigurationError for a hub id without a revision.
    """
    path = Path(declared.location).expanduser()
    if path.exists():
        return path
    revision = getattr(declared, "revision", None)
    if not declared.on_hub or not _HUB_ID.fullmatch(declared.location):
        raise ModelNotFound(
            f"{declared.location!r} does not exist on this machine ({path.absolute()}){_meant(path)} Every worker "
            "needs the files at this path. For models that machines share, give an s3:// prefix."
        )
    if revision is None:
        raise ConfigurationError(
            f"{declared.location!r} is not a folder here ({path.absolute()}){_meant(path)} A hub id needs a pinned "
            "commit, since the files behind a name change: give revision='…' with all 40 digits of the commit."
        )
    return None


def _meant(path: Path) -> str:
    """The end of a sentence about a path that does not exist."""
    missing = path
    while not missing.parent.exists():
        missing = missing.parent
    try:
        name = closest(missing.name, [each.name for each in missing.parent.iterdir()])
    except OSError:
        name = None
    if name is None:
        return "."
    whole = missing.parent / name / path.relative_to(missing)
    return f": did you mean {str(whole if whole.exists() else missing.parent / name)!r}?"

"""The libraries that only some models or features need, and the extra of Batchord that installs each.

This is the only place that names them to people: whoever needs one calls :func:`require` before it imports the library.
"""

from collections.abc import Collection
from enum import StrEnum
from importlib.util import find_spec

from batchord.core.errors import MissingExtra


class Extra(StrEnum):
    """An extra, as in ``pip install 'batchord[sklearn]'``."""

    SKLEARN = "sklearn"
    TRANSFORMERS = "transformers"
    IMAGES = "images"
    ALERTS = "alerts"


#: Extra -> the modules that Batchord itself imports, and their names on the package index.
_MODULES = {
    Extra.SKLEARN: {"sklearn": "scikit-learn", "skops": "skops", "threadpoolctl": "threadpoolctl"},
    Extra.TRANSFORMERS: {
        "torch": "torch",
        "transformers": "transformers",
        "safetensors": "safetensors",
        "huggingface_hub": "huggingface-hub",
    },
    Extra.IMAGES: {"PIL": "Pillow"},
    Extra.ALERTS: {"apprise": "apprise"},
}


def missing(extras: Collection[Extra]) -> str | None:
    """Which libraries are missing in this environment, and how to install them, as a sentence; None if none is.

    It imports none of them.
    """
    lacking = [extra for extra in extras if not all(map(find_spec, _MODULES[extra]))]
    if not lacking:
        return None
    names = [name for extra in lacking for module, name in _MODULES[extra].items() if find_spec(module) is None]
    are = "is" if len(names) == 1 else "are"
    return f"{', '.join(names)} {are} not installed here: pip install 'batchord[{','.join(lacking)}]'"


def require(*extras: Extra, for_what: str) -> None:
    """Raises MissingExtra if this environment lacks a library of these extras. ``for_what``: who needs it."""
    lacking = missing(extras)
    if lacking is not None:
        raise MissingExtra(f"{for_what} cannot be used, because {lacking}")

"""Finds the files that ``make demo`` has taken out of published packages."""

import sys
from importlib.util import find_spec
from pathlib import Path

from batchord.core.errors import ConfigurationError

#: Where the set-up puts the files. Below it, they have the same paths as in the packages.
FOLDER = Path(sys.prefix) / "share" / "batchord-data"


def demo_file(path: str) -> Path:
    """The file or folder ``path`` of the demo's data. Raises ConfigurationError if it is missing."""
    full_path = FOLDER / path
    if not full_path.exists():
        raise ConfigurationError(
            f"The demo's data are not here ({full_path} is missing): run `make demo` in Batchord's folder, "
            "which fetches them."
        )
    return full_path


def scikit_learn_photos() -> Path:
    """The folder with scikit-learn's two photographs. It does not import scikit-learn, which would take a second."""
    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("scikit-learn is not installed: run `make demo`, or pip install 'batchord[sklearn]'.")
    return Path(spec.submodule_search_locations[0], "datasets", "images")

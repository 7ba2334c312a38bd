"""The files that ``make demo`` took out of published packages."""

import sys
from importlib.util import find_spec
from pathlib import Path

from batchord.core.errors import ConfigurationError

#: Where the set-up puts them; below it, the paths are those in the packages.
FOLDER = Path(sys.prefix) / "share" / "batchord-data"


def demo_file(path: str) -> Path:
    """The file or folder ``path`` of the demo's data. Raises ConfigurationError when it is not there."""
    found = FOLDER / path
    if not found.exists():
        raise ConfigurationError(
            f"The demo's data are not here ({found} is missing): run `make demo` in Batchord's folder, "
            "which fetches them."
        )
    return found


def scikit_learn_photos() -> Path:
    """The folder with scikit-learn's two photographs, found without importing scikit-learn, which takes a second."""
    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("scikit-learn is not installed: run `make demo`, or install batchord[models].")
    return Path(spec.submodule_search_locations[0], "datasets", "images")

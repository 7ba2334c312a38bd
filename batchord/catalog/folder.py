"""Which files of a folder are the author's."""

import os
from collections.abc import Iterator
from pathlib import Path


def pipeline_files(folder: Path) -> list[str]:
    """Every file that is loaded, however nested, relative to the folder; names with ``_`` or ``.`` are left out."""
    return [file for file in python_files(folder) if not any(part.startswith("_") for part in Path(file).parts)]


def python_files(folder: Path) -> list[str]:
    """The same with those that begin with ``_``, which pipelines may import."""
    return sorted(_walk(folder), key=lambda file: Path(file).parts)


def _walk(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        # Copies of notebooks, version control, bytecode, and Pythons with all their libraries.
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name != "__pycache__" and not Path(place, name, "pyvenv.cfg").exists()
        ]
        for name in files:
            if name.endswith(".py") and not name.startswith("."):
                yield os.path.relpath(os.path.join(place, name), folder)  # noqa: PTH118 -- many, and Path is slow

"""Lists the author's files in a folder."""

import os
from collections.abc import Iterator
from pathlib import Path


def pipeline_files(folder: Path) -> list[str]:
    """The files to load at any depth, relative to the folder, without names that begin with ``_`` or ``.``."""
    return [file for file in python_files(folder) if not any(part.startswith("_") for part in Path(file).parts)]


def python_files(folder: Path) -> list[str]:
    """Like :func:`pipeline_files`, but with the names that begin with ``_``, which pipelines may import."""
    return sorted(_walk(folder), key=lambda file: Path(file).parts)


def _walk(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        # Leaves out hidden folders (checkpoints of notebooks, version control), bytecode, and virtual environments.
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name != "__pycache__" and not Path(place, name, "pyvenv.cfg").exists()
        ]
        for name in files:
            if name.endswith(".py") and not name.startswith("."):
                yield os.path.relpath(os.path.join(place, name), folder)  # noqa: PTH118 -- many, and Path is slow

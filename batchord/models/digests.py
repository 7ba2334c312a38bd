"""Digests of files."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path


def digest_of_file(file: Path) -> str:
    """The SHA-256 of the file's contents. Raises OSError."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def files_below(folder: Path) -> dict[str, Path]:
    """Every file by its path below ``folder``, with ``/``. It follows links to folders, but enters each folder once."""
    files: dict[str, Path] = {}
    entered: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(parent)  # noqa: PTH116 -- a text
        if (status.st_dev, status.st_ino) in entered:  # a link leads back to this folder
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        files |= {(Path(parent) / name).relative_to(folder).as_posix(): Path(parent) / name for name in names}
    return files


def single_file(place: Path, is_part: Callable[[str], bool]) -> Path:
    """``place`` itself if it is a file; otherwise the only file below it whose path ``is_part`` of the model."""
    if place.is_file():
        return place
    (file,) = (file for name, file in files_below(place).items() if is_part(name))
    return file

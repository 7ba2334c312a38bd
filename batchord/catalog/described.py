"""Describes why a pipeline file cannot be loaded, with the line to correct and what to write there."""

import sys
import traceback
from pathlib import Path

from batchord.core.code import is_authors
from batchord.core.text.error_text import message_of


def plain_name(path: Path, folder: Path) -> str | None:
    """The name by which other files import a file below the pipelines' ``folder``; None if they cannot."""
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join(parts) if all(part.isidentifier() for part in parts) else None


def described(error: BaseException, path: Path, folder: Path) -> str:
    """The error with the line of the pipeline file that led to it, and the author's file that raised it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_authors(frame.filename)]
    lines = [frame.lineno for frame in frames if _is_same(frame.filename, path)]
    where = f"line {lines[-1]}: " if lines else ""
    if isinstance(error, SyntaxError):
        place = f"line {error.lineno}: "
        # If the error is in another file, name this file's line with the import, too.
        own = error.filename is None or _is_same(error.filename, path)
        where = place if own else f"{where}{shown(error.filename, folder)} {place}"
        return f"{where}SyntaxError: {error.msg}"
    if frames and not _is_same(frames[-1].filename, path):
        where += f"{shown(frames[-1].filename, folder)} line {frames[-1].lineno}: "
    advice = _advice(error, path, folder) if isinstance(error, ImportError) else ""
    return f"{where}{message_of(error)}{advice}"


def _is_same(file: str, path: Path) -> bool:
    """Whether both are the same file. A path of ``sys.path`` may lead to it by a link or from the working folder."""
    return file == str(path) or Path(file).resolve() == path.resolve()


def shown(file: str | None, folder: Path) -> str:
    """The path of a module's file relative to the project's root, which contains the pipelines' folder."""
    root, name = folder.resolve().parent, Path(file or "").resolve()
    return str(name.relative_to(root)) if name.is_relative_to(root) else str(name)


def _advice(error: ImportError, path: Path, folder: Path) -> str:
    wanted = [name for name in sys.modules["batchord"].__all__ if f"'{name}'" in str(error)]
    if error.name == "app" and wanted:
        return f": write `from batchord import {wanted[0]}`"
    if "relative import" in str(error):
        return f": write the whole name of the module, as it is below {folder.name}/, without a dot before it"
    return _advice_to_find(error, path, folder) if isinstance(error, ModuleNotFoundError) else ""


def _advice_to_find(error: ModuleNotFoundError, path: Path, folder: Path) -> str:
    if error.name == "app":
        return ": write `from batchord import …`; put a package app of your own beside the pipelines' folder"
    if error.name in ("workers", "beat"):
        return f": write `from batchord.{error.name}`"
    beside = path.parent / f"{error.name}.py"
    whole = plain_name(beside, folder) if beside.is_file() else None
    if whole is not None and whole != error.name:
        return f": write its whole name, `{whole}`"
    return ": install this module where the workers run"

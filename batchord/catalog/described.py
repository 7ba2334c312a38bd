"""Describes why a pipeline file cannot be loaded, with the line to correct and what to write there."""

import traceback
from pathlib import Path

from batchord.catalog.import_advice import import_advice
from batchord.core.code import is_authors
from batchord.core.text.error_text import message_of


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
    advice = import_advice(error, path, folder) if isinstance(error, ImportError) else ""
    return f"{where}{message_of(error)}{advice}"


def _is_same(file: str, path: Path) -> bool:
    """Whether both are the same file. A path of ``sys.path`` may lead to it by a link or from the working folder."""
    return file == str(path) or Path(file).resolve() == path.resolve()


def shown(file: str | None, folder: Path) -> str:
    """The path of a module's file relative to the project's root, which contains the pipelines' folder."""
    root, name = folder.resolve().parent, Path(file or "").resolve()
    return str(name.relative_to(root)) if name.is_relative_to(root) else str(name)

"""Lets pipeline files import the author's other modules."""

import stat
import sys
from pathlib import Path


def make_importable(folder: Path) -> None:
    """Appends the project's root, which contains the pipelines' folder, and then that folder to ``sys.path``.

    So every process imports the same, whatever its working directory. They come last: otherwise a file with the name of
    one of Python's own modules would replace it. A root in which everybody may write, such as ``/tmp``, is left out.
    """
    wanted = [folder] if _is_world_writable(folder.parent) else [folder.parent, folder]
    sys.path += [str(path) for path in wanted if str(path) not in sys.path]


def _is_world_writable(root: Path) -> bool:
    try:
        return bool(root.stat().st_mode & stat.S_IWOTH)
    except OSError:  # the disk is away for a while: the stored texts of the pipelines are still used
        return False

"""What pipeline files may import beside what is installed."""

import stat
import sys
from pathlib import Path


def make_importable(folder: Path) -> None:
    """Appends the project's root, which is where the pipelines' folder lies, and then that folder, to ``sys.path``.

    The same in every process, whatever its working directory. Last, or a file that is named like one of Python's own
    modules would take its place. A root in which everybody may write, such as ``/tmp``, is left out.
    """
    wanted = [folder] if _is_everybodys(folder.parent) else [folder.parent, folder]
    sys.path += [str(each) for each in wanted if str(each) not in sys.path]


def _is_everybodys(root: Path) -> bool:
    try:
        return bool(root.stat().st_mode & stat.S_IWOTH)
    except OSError:  # a disk that is away for a while: what was kept of the pipelines goes on
        return False

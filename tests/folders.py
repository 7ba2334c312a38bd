"""Folders for the servers of the tests."""

import shutil
import tempfile
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 -- folders in it are made by mkdtemp, for their owner alone
#: More than the servers of all test processes need together. Containers often have only 64 MiB.
_ENOUGH_BYTES = 6 * 1024**3


def servers_folder(prefix: str) -> Path:
    """A new folder for servers: in memory if there is room, otherwise among the temporary files.

    Each database is a copy of 300 files, which can take ten times as long on a virtual machine's disk as in memory.
    """
    roomy = _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free >= _ENOUGH_BYTES
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_IN_MEMORY if roomy else None))

"""Where the servers of the tests keep their files."""

import shutil
import tempfile
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 -- folders in it are made by mkdtemp, for their owner alone
#: What the servers of every process of tests may take together, with room to spare; containers often have 64 MiB.
_ENOUGH_BYTES = 6 * 1024**3


def servers_folder(prefix: str) -> Path:
    """A new folder for servers: in memory where there is room, else among the temporary files.

    A database is a copy of 300 files: on a virtual machine's disk that can take ten times as long as in memory.
    """
    roomy = _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free >= _ENOUGH_BYTES
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_IN_MEMORY if roomy else None))

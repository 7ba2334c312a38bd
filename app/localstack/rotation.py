"""Begins a new file for a log that has grown too long, while its processes write on.

They all append to the same open file, and most of them, such as PostgreSQL, cannot be told to open another one. So the
beginning of the file is copied into ``NAME.log.1`` and then cut off. Linux can cut off the beginning of a file in one
step (``FALLOC_FL_COLLAPSE_RANGE``, on ext4 and XFS): what is written meanwhile stays, and no line is lost. Other file
systems can only cut off the whole file after the copy: lines that are written between the two are lost.

A pipe to a process that writes the logs was rejected: the servers outlive a killed supervisor, and would end or stand
still without a reader.
"""

import ctypes
import errno
import logging
import os
from dataclasses import dataclass
from pathlib import Path

_log = logging.getLogger(__name__)
#: FALLOC_FL_COLLAPSE_RANGE.
_COLLAPSE_RANGE = 0x08
#: What a file system answers that cannot do it: tmpfs, NFS, Btrfs, ext4 with clusters.
_UNABLE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
_LIBC = ctypes.CDLL(None, use_errno=True)
_CHUNK = 1 << 20
#: The longest line that is kept whole at the border of two files, in bytes.
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class LogRotation:
    """When a log gets a new file, and how many old ones stay."""

    #: The size of a file at which the next one begins. A file may get longer between two looks at it.
    most_bytes: int = 10_485_760
    #: ``NAME.log.1`` is the newest old file.
    kept: int = 3

    def rotate(self, folder: Path) -> None:
        """Begins a new file for each log of the folder that is too long. Logs a warning for one that cannot get it."""
        for log in folder.glob("*.log"):
            try:
                if log.stat().st_size >= self.most_bytes:
                    self._rotate(log)
            except FileNotFoundError:  # somebody has deleted the home
                continue
            except OSError as error:
                _log.warning("%s has grown too long, and no new file could be begun: %s", log, error)

    def _rotate(self, log: Path) -> None:
        old = [log.with_name(f"{log.name}.{number}") for number in range(1, self.kept + 1)]
        for surplus in self._surplus(log):
            surplus.unlink(missing_ok=True)
        # First the oldest file goes: a disk that is full has room for the copy again.
        if old:
            old[-1].unlink(missing_ok=True)
        for older, newer in zip(reversed(old), reversed(old[:-1]), strict=False):
            if newer.exists():
                newer.replace(older)
        descriptor = os.open(log, os.O_RDWR)
        try:
            _cut(descriptor, old[0] if old else None)
        finally:
            os.close(descriptor)

    def _surplus(self, log: Path) -> list[Path]:
        """Old files that an earlier, greater number kept."""
        numbered = ((path, path.name.removeprefix(f"{log.name}.")) for path in log.parent.glob(f"{log.name}.*"))
        return [path for path, number in numbered if number.isdecimal() and int(number) > self.kept]


def _cut(descriptor: int, copy: Path | None) -> None:
    """Moves the present contents of the file into ``copy``; None: drops them."""
    block = os.fstatvfs(descriptor).f_bsize
    # Only whole blocks can be cut off, and the last one stays: a file cannot be collapsed to nothing.
    cut = (os.fstat(descriptor).st_size - 1) // block * block
    line_end = _line_end(descriptor, cut)
    if copy is not None:
        draft = copy.with_name(f".{copy.name}.draft")
        try:
            _append(descriptor, draft, 0, line_end)
            # Before the cut: if this process is killed in between, both files have the lines, and none is lost.
            draft.replace(copy)
        finally:
            draft.unlink(missing_ok=True)
    if _collapse(descriptor, cut):
        # The line at the border is whole in the copy. Here its end becomes spaces, so that nobody takes it for a line.
        os.pwrite(descriptor, b" " * max(0, line_end - cut - 1), 0)
    else:
        _truncate(descriptor, copy, line_end)


def _line_end(descriptor: int, position: int) -> int:
    """Where the line ends that goes on at ``position``; ``position`` itself if a line begins there, or none ends."""
    text = os.pread(descriptor, _LONGEST_LINE, max(0, position - 1))
    end = text.find(b"\n")
    return position if end <= 0 else position + end


def _append(descriptor: int, copy: Path, begin: int, end: int) -> None:
    with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as file:
        while begin < end:
            chunk = os.pread(descriptor, min(_CHUNK, end - begin), begin)
            if not chunk:
                return
            file.write(chunk)
            begin += len(chunk)


def _collapse(descriptor: int, length: int) -> bool:
    """Cuts off the first ``length`` bytes in one step. Returns False where the system cannot do that."""
    fallocate = getattr(_LIBC, "fallocate64", None) or getattr(_LIBC, "fallocate", None)
    if fallocate is None or length == 0:
        return False
    if fallocate(descriptor, _COLLAPSE_RANGE, ctypes.c_int64(0), ctypes.c_int64(length)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNABLE:
        return False
    raise OSError(number, os.strerror(number))


def _truncate(descriptor: int, copy: Path | None, copied: int) -> None:
    """Cuts off everything. First it copies what was written meanwhile."""
    while (size := os.fstat(descriptor).st_size) > copied:
        if copy is not None:
            _append(descriptor, copy, copied, size)
        copied = size
    os.ftruncate(descriptor, 0)

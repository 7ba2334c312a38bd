"""Reads local files whose names come from untrusted data."""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from batchord.core.errors import BatchordError, DataError, TransientError
from batchord.core.reasons import Reason
from batchord.core.text.counts import counted
from batchord.core.text.error_text import clause
from batchord.storage.objects.names import is_object_name

#: Errors of the disk or its network that may pass. The file may be fine.
_PASSING = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.ENOMEM})

#: How often a path is resolved again if its parts are replaced meanwhile.
_TRIES = 3
#: O_PATH, if it exists, needs no right to list a folder, only the right to pass through.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
#: NONBLOCK: opening a FIFO must not wait for a writer.
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW


def file_path(url: str) -> Path:
    """The absolute path of a ``file:///`` URL, percent-decoded. Links are not followed yet.

    Raises ValueError for another scheme or host, a query, ``..``, a backslash or a control character.
    """
    if not is_object_name(url):  # before urlsplit, which drops line breaks
        raise ValueError(f"{url!r} holds a control character")
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ValueError(f"{url!r} is not of the form file:///folder/name")
    if "?" in url or "#" in url:
        raise ValueError(f"{url!r} holds '?' or '#': write them as %3F and %23")
    path = unquote(parts.path, errors="surrogateescape")
    if "\\" in path or not is_object_name(path):
        raise ValueError(f"{url!r} holds a backslash, a control character or bytes that are not UTF-8")
    if {".", ".."} & set(path.split("/")):
        raise ValueError(f"{url!r} holds '.' or '..' as a part of its path")
    return Path(path)


def read_file(path: Path, *, folder: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file inside ``folder``, at most ``max_bytes``.

    Links are followed first and must stay inside ``folder``. Raises DataError (location-not-allowed,
    missing-object, forbidden-object, unreadable-object, too-large) or TransientError.
    """
    try:
        descriptor = _open_inside(path, folder)
        with open(descriptor, "rb") as file:  # noqa: PTH123  Path.open takes no descriptor
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise DataError(Reason.UNREADABLE_OBJECT, f"{path} is not a regular file.")
            data = b"" if status.st_size > max_bytes else file.read(max_bytes + 1)
    except OSError as error:
        raise _translated(error, path) from error
    except RuntimeError as error:  # before Python 3.13, resolve() raises it for a loop of links
        raise DataError(Reason.UNREADABLE_OBJECT, f"{path} cannot be read: {clause(error)}.") from error
    if status.st_size > max_bytes or len(data) > max_bytes:
        raise DataError(
            Reason.TOO_LARGE, f"{path} is larger than {counted(max_bytes, 'byte')}: shrink it, or raise max_bytes."
        )
    return data


def _open_inside(path: Path, folder: Path, tries: int = _TRIES) -> int:
    """A descriptor of the file that ``path`` leads to. Raises OSError, or DataError if the file is outside ``folder``.

    Between resolving and opening, anybody who may write to the folder can replace a part of the path by a link. So the
    resolved path is opened part by part, beginning at the folder, and a part that has become a link is not followed.
    Linux's openat2 with RESOLVE_BENEATH was rejected: Python does not offer it, containers often forbid it, and it
    refuses absolute links that stay inside.
    """
    real, root = path.resolve(), folder.resolve()
    if root not in real.parents:
        raise DataError(Reason.LOCATION_NOT_ALLOWED, f"{path} leads outside the allowed folder {folder}.")
    try:
        return _open_below(root, real.relative_to(root).parts)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR) or tries == 1:
            raise
    return _open_inside(path, folder, tries - 1)


def _open_below(root: Path, parts: Sequence[str]) -> int:
    parent = os.open(root, _FOLDER)
    try:
        for part in parts[:-1]:
            child = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
            os.close(parent)
            parent = child
        return os.open(parts[-1], _FILE, dir_fd=parent)
    finally:
        os.close(parent)


def _translated(error: OSError, path: Path) -> BatchordError:
    if error.errno in _PASSING:
        return TransientError(f"{path} could not be read now: {clause(error)}. Batchord tries again.")
    if isinstance(error, FileNotFoundError | NotADirectoryError) or error.errno == errno.ENAMETOOLONG:
        return DataError(Reason.MISSING_OBJECT, f"{path} does not exist: correct the location or restore the file.")
    if isinstance(error, PermissionError):
        return DataError(Reason.FORBIDDEN_OBJECT, f"{path} may not be read by this user: grant read access.")
    return DataError(Reason.UNREADABLE_OBJECT, f"{path} cannot be read: {clause(error)}.")

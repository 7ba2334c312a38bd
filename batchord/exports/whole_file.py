"""A file that is there as a whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause

#: What a person can do about an error of the disk.
_ADVICE = {
    errno.ENOSPC: "free some space, or choose a folder on another disk",
    errno.EDQUOT: "free some space, or choose a folder on another disk",
    errno.EACCES: "choose a folder in which you may write",
    errno.EPERM: "choose a folder in which you may write",
    errno.EROFS: "choose a folder in which you may write",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def check_target(file: Path, *, force: bool) -> None:
    """Raises ConfigurationError if the file cannot be written, or if it is there already and ``force`` is not given."""
    with _writing(file):
        _check(file, force=force)


def _check(file: Path, *, force: bool) -> None:
    if not file.parent.is_dir():
        raise ConfigurationError(f"There is no folder {file.parent}: create it, or name another.")
    if file.is_dir():
        raise ConfigurationError(f"{file} is a folder: name a file in it.")
    if file.exists() and not file.is_file():
        raise ConfigurationError(
            f"{file} is no file, and writing it would replace it: `-o -` writes to standard output."
        )
    if file.exists() and not force:
        raise ConfigurationError(f"{file} exists: give --force to replace it, or name another file.")


@contextmanager
def whole_file(file: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file to write. It gets its name at the end of the block; if the block raises, nothing is left of it.

    Until then it is a hidden file in the same folder, and a file that had the name before is untouched. A link is
    followed: the file that it leads to is replaced. Raises ConfigurationError, as :func:`check_target`, and if the
    disk refuses.
    """
    check_target(file, force=force)
    target = file.resolve()
    draft = target.with_name(f".batchord-export-{secrets.token_hex(8)}.part")
    with _writing(file):
        try:
            with draft.open("xb") as opened:
                yield opened
                opened.flush()
                os.fsync(opened.fileno())
            check_target(file, force=force)  # again: another program may have made it meanwhile
            if target.exists():
                draft.chmod(target.stat().st_mode & 0o7777)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    """Raises ConfigurationError for an error of the disk in the block."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "choose another folder")
        raise ConfigurationError(
            f"{file} cannot be written: {clause(error.strerror or error)}. Next step: {advice}."
        ) from None

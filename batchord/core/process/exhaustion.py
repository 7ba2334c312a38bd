"""Errors that say that a process lacks memory or threads, and whether this process has met one.

The current work may not be the cause: earlier work may have left the process full. So a process that has met such an
error gives its work back and ends. Work counts as the cause only if it fails alone in new processes.
"""

import errno
import gc
import traceback
from collections.abc import Iterator

from batchord.core.text.error_text import error_text

#: Words in a RuntimeError: the interpreter's about threads, torch's about a machine's memory and about a GPU's.
_RUNTIME_ERROR_WORDS = ("can't start new thread", "can't allocate memory", "out of memory")
#: Words in errors of libraries that are written in C++.
_LIBRARY_ERROR_WORDS = ("std::bad_alloc", "Insufficient memory")


class _Process:
    """The state of this process."""

    exhausted = False


def is_exhaustion(error: BaseException) -> bool:
    """Whether ``error``, or one of its causes, says that this process can get no more memory or threads."""
    return any(_says_so(link) for link in _chain(error))


def note_exhaustion(error: BaseException) -> None:
    """Remembers that this process must end after its task, and frees the memory that the failed calls still hold."""
    _Process.exhausted = True
    for link in _chain(error):
        traceback.clear_frames(link.__traceback__)
    gc.collect()


def is_exhausted() -> bool:
    """Whether this process has met such an error."""
    return _Process.exhausted


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _says_so(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if not isinstance(error, Exception):
        return False
    words = _LIBRARY_ERROR_WORDS + (_RUNTIME_ERROR_WORDS if isinstance(error, RuntimeError) else ())
    text = error_text(error)
    return any(word in text for word in words)

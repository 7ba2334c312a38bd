"""When a process lacks memory, or threads: which errors say so, and that this process has met one.

Such an error is no fault of the work at hand: what fills the process may be left from other work. So a process that
has met one gives its work back and ends, and only what fails alone in new processes is to blame.
"""

import errno
import gc
import traceback
from collections.abc import Iterator

from batchord.core.text.error_text import error_text

#: How RuntimeErrors say it: the interpreter of threads, torch of a machine's memory and of a card's.
_OF_RUNTIME = ("can't start new thread", "can't allocate memory", "out of memory")
#: How libraries written in C++ say it, in errors of their own.
_OF_LIBRARIES = ("std::bad_alloc", "Insufficient memory")


class _Process:
    """This process."""

    exhausted = False


def is_exhaustion(error: BaseException) -> bool:
    """Whether ``error``, or one that it was raised for, says that this process can have no more memory, or threads."""
    return any(_says_so(each) for each in _chain(error))


def note_exhaustion(error: BaseException) -> None:
    """Remembers that this process is to end after its task, and frees what the calls that failed still hold."""
    _Process.exhausted = True
    for each in _chain(error):
        traceback.clear_frames(each.__traceback__)
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
    words = _OF_LIBRARIES + (_OF_RUNTIME if isinstance(error, RuntimeError) else ())
    said = error_text(error)
    return any(each in said for each in words)

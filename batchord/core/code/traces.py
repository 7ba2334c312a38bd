"""The part of an error's traceback that concerns the author: it begins at the first line of the author's code."""

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from batchord.core.code.authors import is_authors
from batchord.core.code.places import shown_path
from batchord.core.errors import BatchordError


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The traceback of an error, without Batchord's own lines above it."""

    #: The error that the author's code raised, which an error of Batchord's may wrap.
    error: BaseException
    #: The traceback from the first line of the author's code on. Without such a line, it begins in a library.
    start: TracebackType | None
    #: The innermost line of the author's code; None if the traceback holds none.
    file: str | None = None
    line: int | None = None

    @property
    def text(self) -> str:
        """The traceback as Python prints it, with those of earlier errors that passed through the author's code.

        An error that a library raised and caught itself, such as pandas for a missing column, is left out.
        """
        told = traceback.TracebackException(type(self.error), self.error, self.start)
        _leave_out_libraries(told, self.error)
        return "".join(told.format()).rstrip()

    @property
    def is_authors(self) -> bool:
        """Whether it holds a line of the author's code."""
        return self.file is not None


def trace_of(error: BaseException) -> Trace:
    """The author's part of the traceback of ``error``, or of the error that it wraps."""
    error = _unwrapped(error)
    authors = [link for link in _links(error.__traceback__) if _is_authors(link)]
    if not authors:
        foreign = (link for link in _links(error.__traceback__) if not _is_batchords(link))
        return Trace(error=error, start=next(foreign, error.__traceback__))
    code, line = authors[-1].tb_frame.f_code, authors[-1].tb_lineno
    return Trace(error=error, start=authors[0], file=shown_path(code.co_filename), line=line)


def _unwrapped(error: BaseException) -> BaseException:
    """The error inside errors that Batchord itself raised, also of Python's types. An author may raise Batchord's."""
    while error.__cause__ is not None:
        *_, last = [None, *_links(error.__traceback__)]
        if not (isinstance(error, BatchordError) if last is None else _is_batchords(last)):
            break
        error = error.__cause__
    return error


def _leave_out_libraries(told: traceback.TracebackException, error: BaseException) -> None:
    for name in ("__cause__", "__context__"):
        earlier, its_own = getattr(told, name), getattr(error, name)
        if earlier is None or its_own is None:
            continue
        if any(map(_is_authors, _links(its_own.__traceback__))):
            _leave_out_libraries(earlier, its_own)
        else:
            setattr(told, name, None)


def _links(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _is_authors(link: TracebackType) -> bool:
    """Whether the line is of an author's file, or of a notebook's cell, which may have no file."""
    file = link.tb_frame.f_code.co_filename
    return is_authors(file) or (file.startswith("<") and link.tb_frame.f_globals.get("__name__") == "__main__")


def _is_batchords(link: TracebackType) -> bool:
    return str(link.tb_frame.f_globals.get("__name__", "")).startswith("batchord.")

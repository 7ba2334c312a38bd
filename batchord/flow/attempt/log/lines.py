"""Holds the lines of an attempt until they are stored, with bounded memory."""

import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from batchord.core.run.logs import LogLine
from batchord.core.run.records import storable
from batchord.core.secrets.key_blocks import KeyBlocks
from batchord.core.text.counts import counted

#: The most bytes that are kept of a line.
LONGEST_LINE = 8 * 1024
#: The bytes that count for a line besides its message, so that the number of empty lines is bounded, too.
LINE_COSTS = 64


class _Line(NamedTuple):
    #: Seconds since 1970.
    time: float
    level: str
    source: str
    message: str
    size: int


class Lines:
    """Takes lines and gives them back in parts; all methods are safe in threads.

    If there are more than ``limit_bytes``, :meth:`take` returns the first half of this limit as the lines come. Only
    the last half of the limit is kept of the lines after that. :meth:`take` returns them after :meth:`close`, behind a
    line that says how much was left out.
    """

    def __init__(self, limit_bytes: int, *, mask: Callable[[str], str]) -> None:
        self._half = limit_bytes // 2
        self._mask = mask
        self._lock = threading.Lock()
        #: Masks private keys before a line is left out: the line that shows where a key begins may be left out itself.
        self._blocks = KeyBlocks()
        self._time = 0.0
        self._first: deque[_Line] = deque()
        #: Bytes that the first half has taken so far, including lines that were taken from it; None: it is full.
        self._first_bytes: int | None = 0
        self._last: deque[_Line] = deque()
        self._last_bytes = 0
        self._lines_left_out = 0
        self._bytes_left_out = 0

    def __len__(self) -> int:
        """The number of lines that wait here."""
        return len(self._first) + len(self._last)

    def add(self, time: float, level: str, source: str, message: str) -> None:
        """Adds a line; ``time`` is in seconds since 1970."""
        message = storable(message)
        with self._lock:
            message = self._blocks.masked(source, message)
        size = size_of(message)
        if size > LONGEST_LINE:
            message = self._shortened(message)
            size = size_of(message)
        size += LINE_COSTS
        with self._lock:
            # A clock that steps back must not change the order: stores sort by time.
            self._time = time = max(time, self._time)
            line = _Line(time, level, source, message, size)
            if self._first_bytes is not None and self._first_bytes + size <= self._half:
                self._first_bytes += size
                self._first.append(line)
                return
            self._first_bytes = None
            self._last.append(line)
            self._last_bytes += size
            while self._last_bytes > self._half:
                self._leave_out(self._last.popleft())

    def take(self, most_bytes: int) -> tuple[LogLine, ...]:
        """The next lines, masked; at least one if there are any."""
        taken: list[_Line] = []
        size = 0
        with self._lock:
            while self._first and (not taken or size + self._first[0].size <= most_bytes):
                line = self._first.popleft()
                size += line.size
                taken.append(line)
        return tuple(
            LogLine(
                time=datetime.fromtimestamp(line.time, UTC),
                level=line.level,
                source=storable(line.source),
                message=self._masked(line.message),
            )
            for line in taken
        )

    def close(self) -> None:
        """Makes :meth:`take` return the last lines, too."""
        with self._lock:
            if self._lines_left_out:
                text = f"… {counted(self._lines_left_out, 'line')}, {counted(self._bytes_left_out, 'byte')} left out …"
                time = self._last[0].time if self._last else self._time
                self._first.append(_Line(time, "WARNING", "batchord", text, len(text) + LINE_COSTS))
            self._first += self._last
            self._last.clear()
            self._last_bytes = self._lines_left_out = self._bytes_left_out = 0

    def _leave_out(self, line: _Line) -> None:
        self._last_bytes -= line.size
        self._lines_left_out += 1
        self._bytes_left_out += line.size - LINE_COSTS

    def _shortened(self, message: str) -> str:
        """The beginning and the end of a message: a traceback says at its end what is wrong."""
        # Mask before cutting: half a secret cannot be recognised. A line may be huge, so mask only twice what is kept.
        begin = self._masked(message[:LONGEST_LINE]).encode("utf-8", "replace")[: LONGEST_LINE // 2]
        end = self._masked(message[-LONGEST_LINE:]).encode("utf-8", "replace")[-LONGEST_LINE // 2 :]
        left_out = max(0, size_of(message) - len(begin) - len(end))
        return f"{begin.decode(errors='ignore')} … {counted(left_out, 'byte')} left out … {end.decode(errors='ignore')}"

    def _masked(self, message: str) -> str:
        try:
            return self._mask(message)
        except Exception as error:  # noqa: BLE001 -- a line that cannot be masked is not shown, and fails no work
            return f"(this line was dropped: masking its secrets failed with {type(error).__name__})"


def size_of(text: str) -> int:
    """The number of bytes of ``text`` in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))

"""The lines of an attempt between being said and being kept, with bounded memory."""

import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from batchord.core.run.logs import LogLine
from batchord.core.run.records import storable
from batchord.core.secrets.key_blocks import KeyBlocks
from batchord.core.text.counts import counted

#: Bytes of a line that are kept.
LONGEST_LINE = 8 * 1024
#: What a line costs beside its message: lines without any are bounded, too.
LINE_COSTS = 64


class _Said(NamedTuple):
    #: Seconds since 1970.
    time: float
    level: str
    source: str
    message: str
    size: int


class Lines:
    """Takes lines and gives them back in parts; all methods are safe in threads.

    Of more than ``limit_bytes`` the first half is given as it comes. Of what follows the last half is kept, and given
    after :meth:`close` only, behind a line that tells what was left out.
    """

    def __init__(self, limit_bytes: int, *, mask: Callable[[str], str]) -> None:
        self._half = limit_bytes // 2
        self._mask = mask
        self._lock = threading.Lock()
        #: Before anything is left out: what hides a line may be left out itself.
        self._blocks = KeyBlocks()
        self._time = 0.0
        self._first: deque[_Said] = deque()
        #: Bytes that the first half has taken so far, the given ones included; None: it is full.
        self._first_bytes: int | None = 0
        self._last: deque[_Said] = deque()
        self._last_bytes = 0
        self._lines_left_out = 0
        self._bytes_left_out = 0

    def __len__(self) -> int:
        """Lines that are here."""
        return len(self._first) + len(self._last)

    def add(self, time: float, level: str, source: str, message: str) -> None:
        """Takes a line; ``time`` in seconds since 1970."""
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
            said = _Said(time, level, source, message, size)
            if self._first_bytes is not None and self._first_bytes + size <= self._half:
                self._first_bytes += size
                self._first.append(said)
                return
            self._first_bytes = None
            self._last.append(said)
            self._last_bytes += size
            while self._last_bytes > self._half:
                self._leave_out(self._last.popleft())

    def take(self, most_bytes: int) -> tuple[LogLine, ...]:
        """The next lines, one at least if there are any, masked."""
        taken: list[_Said] = []
        size = 0
        with self._lock:
            while self._first and (not taken or size + self._first[0].size <= most_bytes):
                said = self._first.popleft()
                size += said.size
                taken.append(said)
        return tuple(
            LogLine(
                time=datetime.fromtimestamp(said.time, UTC),
                level=said.level,
                source=storable(said.source),
                message=self._masked(said.message),
            )
            for said in taken
        )

    def close(self) -> None:
        """Lets :meth:`take` give the last lines, too."""
        with self._lock:
            if self._lines_left_out:
                text = f"… {counted(self._lines_left_out, 'line')}, {counted(self._bytes_left_out, 'byte')} left out …"
                time = self._last[0].time if self._last else self._time
                self._first.append(_Said(time, "WARNING", "batchord", text, len(text) + LINE_COSTS))
            self._first += self._last
            self._last.clear()
            self._last_bytes = self._lines_left_out = self._bytes_left_out = 0

    def _leave_out(self, said: _Said) -> None:
        self._last_bytes -= said.size
        self._lines_left_out += 1
        self._bytes_left_out += said.size - LINE_COSTS

    def _shortened(self, message: str) -> str:
        """Its beginning and its end: a traceback says at its end what is wrong."""
        # Masked before it is cut: half a secret is not known any more. Twice what is kept, since a line may be huge.
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
    """Bytes of it in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))

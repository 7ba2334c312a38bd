"""Splits a command's output into lines as it comes."""

import os
import selectors
from collections import deque
from collections.abc import Callable
from typing import IO

from batchord.core.secrets.key_blocks import KeyBlocks
from batchord.output.masking import mask, mask_known

#: The most bytes of a line that are passed on together. A longer line comes in pieces.
LONGEST_LINE = 64 * 1024
#: The most bytes that are kept of the last line.
LONGEST_LAST_LINE = 4 * 1024
#: How many lines and characters of standard error an error message shows.
_TAIL_LINES, _TAIL_CHARACTERS = 10, 2000
_CHUNK = 64 * 1024
#: The most bytes that an ordinary user's pipe can hold on Linux.
_FULL_PIPE = 1024 * 1024

OnLine = Callable[[str, str], None]


class Lines:
    """Splits one stream into lines and passes them to ``on_line`` with the stream's name."""

    def __init__(self, name: str, on_line: OnLine) -> None:
        self._name = name
        self._on_line = on_line
        self._rest = b""
        self._last = ""
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._blocks = KeyBlocks()

    def feed(self, chunk: bytes) -> None:
        """Passes on all complete lines, and pieces of a line that is too long to wait for its end."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            self._hand_on(line)
        while len(self._rest) > LONGEST_LINE:
            self._rest = self._first_piece(self._rest)

    def end(self) -> None:
        """Passes on the last line if it has no end of line."""
        if self._rest:
            self._hand_on(self._rest)
            self._rest = b""

    @property
    def last(self) -> str:
        """The last line that is not blank, without the spaces around it; empty if there was none.

        Known secrets are masked before the line is cut: half a secret cannot be recognised.
        """
        return mask_known(self._last.strip()).encode()[:LONGEST_LAST_LINE].decode("utf-8", "ignore")

    @property
    def tail(self) -> str:
        """The last few lines, without secrets."""
        return mask("\n".join(self._tail))[-_TAIL_CHARACTERS:].strip()

    def _hand_on(self, line: bytes) -> None:
        while len(line) > LONGEST_LINE:
            line = self._first_piece(line)
        self._tell(line.removesuffix(b"\r"))

    def _first_piece(self, line: bytes) -> bytes:
        """Passes on the first piece of a long line and returns the rest."""
        end = LONGEST_LINE
        while end > LONGEST_LINE - 4 and line[end] & 0xC0 == 0x80:  # noqa: PLR2004 -- do not cut a character of UTF-8
            end -= 1
        self._tell(line[:end])
        return line[end:]

    def _tell(self, line: bytes) -> None:
        # PostgreSQL, which stores the lines, cannot store a NUL.
        text = line.decode("utf-8", "replace").replace("\0", "\ufffd")
        if text and not text.isspace():
            self._last = text
            # Mask before cutting: half a secret cannot be recognised.
            masked = self._blocks.masked(self._name, text)
            self._tail.append(masked if len(masked) <= _TAIL_CHARACTERS else mask(masked)[-_TAIL_CHARACTERS:])
        self._on_line(self._name, text)


class Streams:
    """Both streams of a command. One thread reads them, so that lines come one after the other."""

    def __init__(self, out: IO[bytes], err: IO[bytes], on_line: OnLine) -> None:
        self.out, self.err = Lines("stdout", on_line), Lines("stderr", on_line)
        self._selector = selectors.DefaultSelector()
        self._alarms: list[int] = []
        for pipe, lines in ((out, self.out), (err, self.err)):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, lines)

    def wake_at(self, pipe: int) -> None:
        """Makes :meth:`read` also return when the other end of ``pipe`` is closed. :meth:`close` closes ``pipe``."""
        self._alarms.append(pipe)
        self._selector.register(pipe, selectors.EVENT_READ)

    def read(self, seconds: float) -> bool:
        """Waits for at most ``seconds`` and passes on what came. Returns whether anything came."""
        came = False
        for key, _ in self._selector.select(max(0.0, seconds)):
            if key.data is None:
                self._selector.unregister(key.fileobj)  # it wakes only once
                continue
            came = True
            try:
                chunk = os.read(key.fd, _CHUNK)
            except BlockingIOError:
                continue
            if chunk:
                key.data.feed(chunk)
            else:
                self._selector.unregister(key.fileobj)
        return came

    def finish(self) -> None:
        """Reads only what is still in the pipes: a process that escaped may write for ever."""
        for _ in range(2 * _FULL_PIPE // _CHUNK):
            if not self.read(0):
                break
        self.out.end()
        self.err.end()

    def close(self) -> None:
        """Closes the selector and the pipes of :meth:`wake_at`. The streams belong to the process."""
        self._selector.close()
        for pipe in self._alarms:
            os.close(pipe)

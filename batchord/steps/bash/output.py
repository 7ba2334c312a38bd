"""A command's output, taken apart into lines while it comes."""

import os
import selectors
from collections import deque
from collections.abc import Callable
from typing import IO

from batchord.core.secrets.key_blocks import KeyBlocks
from batchord.output.masking import mask, mask_known

#: Bytes of a line that are handed on at once; a longer one comes in pieces.
LONGEST_LINE = 64 * 1024
#: Bytes of the last line that are kept.
LONGEST_LAST_LINE = 4 * 1024
#: What is told of standard error when the command fails.
_TAIL_LINES, _TAIL_CHARACTERS = 10, 2000
_CHUNK = 64 * 1024
#: The most that Linux lets an ordinary user's pipe hold.
_FULL_PIPE = 1024 * 1024

OnLine = Callable[[str, str], None]


class Lines:
    """One stream's lines, handed to ``on_line`` with the stream's name."""

    def __init__(self, name: str, on_line: OnLine) -> None:
        self._name = name
        self._on_line = on_line
        self._rest = b""
        self._last = ""
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._blocks = KeyBlocks()

    def feed(self, chunk: bytes) -> None:
        """Hands on every line that is complete now, and what has become too long to wait for its end."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            self._hand_on(line)
        while len(self._rest) > LONGEST_LINE:
            self._rest = self._first_piece(self._rest)

    def end(self) -> None:
        """Hands on the last line if nothing ended it."""
        if self._rest:
            self._hand_on(self._rest)
            self._rest = b""

    @property
    def last(self) -> str:
        """The last line that is not blank, without the spaces around it; empty when there was none.

        Without the secrets that are known, which are masked before it is cut: half a secret is not known any more.
        """
        return mask_known(self._last.strip()).encode()[:LONGEST_LAST_LINE].decode("utf-8", "ignore")

    @property
    def tail(self) -> str:
        """The last lines, a few of them, without secrets."""
        return mask("\n".join(self._tail))[-_TAIL_CHARACTERS:].strip()

    def _hand_on(self, line: bytes) -> None:
        while len(line) > LONGEST_LINE:
            line = self._first_piece(line)
        self._tell(line.removesuffix(b"\r"))

    def _first_piece(self, line: bytes) -> bytes:
        """Hands on the first piece of a long line; returns the rest."""
        end = LONGEST_LINE
        while end > LONGEST_LINE - 4 and line[end] & 0xC0 == 0x80:  # noqa: PLR2004 -- not within a character of UTF-8
            end -= 1
        self._tell(line[:end])
        return line[end:]

    def _tell(self, line: bytes) -> None:
        # PostgreSQL, where the lines end up, keeps no NUL.
        text = line.decode("utf-8", "replace").replace("\0", "\ufffd")
        if text and not text.isspace():
            self._last = text
            # Masked before it is cut: half a secret is not known any more.
            told = self._blocks.masked(self._name, text)
            self._tail.append(told if len(told) <= _TAIL_CHARACTERS else mask(told)[-_TAIL_CHARACTERS:])
        self._on_line(self._name, text)


class Streams:
    """Both streams of a command, read by one thread: lines come one after the other."""

    def __init__(self, out: IO[bytes], err: IO[bytes], on_line: OnLine) -> None:
        self.out, self.err = Lines("stdout", on_line), Lines("stderr", on_line)
        self._selector = selectors.DefaultSelector()
        self._alarms: list[int] = []
        for pipe, lines in ((out, self.out), (err, self.err)):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, lines)

    def wake_at(self, pipe: int) -> None:
        """Also stop waiting when the other end of ``pipe`` is closed; it is closed here in the end."""
        self._alarms.append(pipe)
        self._selector.register(pipe, selectors.EVENT_READ)

    def read(self, seconds: float) -> bool:
        """Waits at most so long and hands on what came; whether anything did."""
        came = False
        for key, _ in self._selector.select(max(0.0, seconds)):
            if key.data is None:
                self._selector.unregister(key.fileobj)  # it rings once
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
        """Reads what is still in the pipes, and no more: something that escaped may go on writing for ever."""
        for _ in range(2 * _FULL_PIPE // _CHUNK):
            if not self.read(0):
                break
        self.out.end()
        self.err.end()

    def close(self) -> None:
        """Lets go of what was made here; the pipes are the process's."""
        self._selector.close()
        for pipe in self._alarms:
            os.close(pipe)

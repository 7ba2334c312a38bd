"""Private keys in PEM. Their first and last lines show them; the lines between may arrive one by one."""

import re
import threading
from collections.abc import Hashable, Iterator

MASK = "***"

_MARKER = re.compile(r"-----(?P<side>BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
#: A line of a key: base64, or a header of an encrypted key. It may be quoted.
_BODY = re.compile(
    r"""[>|+\s"']{0,12}(?:[A-Za-z0-9+/]{1,120}={0,2}|(?:Proc-Type|DEK-Info|Version|Comment): .*)[\s"',\\]*"""
)
#: Line ends, also as JSON and Python escape them.
_LINE_END = re.compile(r"\r?\n|(?:\\{1,4}r)?\\{1,4}n")
#: Characters of a key of 16,384 bits, and some more. An END that comes later belongs to another key.
_LONGEST = 32_768
#: How many other lines may come between two lines of a key.
_MOST_FOREIGN = 3
#: The most streams with an open key. This bounds the memory if keys are never closed.
_MOST_OPEN = 1000


def without_key_blocks(text: str) -> str:
    """``text`` without private keys, even if a key's beginning or its end was cut off."""
    markers = list(_MARKER.finditer(text)) if "PRIVATE KEY" in text else []
    kept: list[str] = []
    at = 0
    for place, marker in enumerate(markers):
        if marker.start() < at:  # the END of a key that was already removed
            continue
        following = markers[place + 1] if place + 1 < len(markers) else None
        if marker["side"] == "END":
            kept.append(_without_tail(text[at : marker.start()]))
            at = marker.end()
        elif following and following["side"] == "END" and following.start() - marker.end() <= _LONGEST:
            kept.append(text[at : marker.start()])
            at = following.end()
        else:
            kept.append(text[at : marker.start()])
            at = _end_of_body(text, marker.end(), following.start() if following else len(text))
        kept.append(MASK)
    return "".join([*kept, text[at:]]) if kept else text


def _end_of_body(text: str, begin: int, end: int) -> int:
    """Where the key ends whose lines begin at ``begin``."""
    before = begin
    for line_begin, line_end in _lines(text, begin, end):
        line = text[line_begin:line_end]
        if line.strip() and not _BODY.fullmatch(line):
            return before
        before = line_end
    return end


def _without_tail(text: str) -> str:
    """``text`` without the lines of a key at its end."""
    end = len(text)
    for begin, line_end in reversed(list(_lines(text, 0, len(text)))):
        line = text[begin:line_end]
        if line.strip() and not _BODY.fullmatch(line):
            break
        end = begin
    return text[:end]


def _lines(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The start and the end of each line, without its line end."""
    for line_end in _LINE_END.finditer(text, begin, end):
        yield begin, line_end.start()
        begin = line_end.end()
    yield begin, end


class KeyBlocks:
    """Masks private keys whose lines arrive one by one. Only one thread may call it at a time."""

    def __init__(self) -> None:
        #: How many other lines came since the last line of the open key, by stream and thread.
        self._open: dict[Hashable, int] = {}

    def masked(self, stream: Hashable, text: str) -> str:
        """``text``, which comes next in ``stream``. Each line is masked that belongs to a key that began before."""
        if not self._open and "-----" not in text:  # the usual case
            return text
        key = (stream, threading.get_ident())
        if key in self._open:
            text = "\n".join([self._line(key, line) for line in text.split("\n")])
        last = None
        for last in _MARKER.finditer(text):  # noqa: B007 -- the last one
            pass
        if last is not None and last["side"] == "BEGIN":
            if len(self._open) >= _MOST_OPEN:
                self._open.clear()
            self._open[key] = 0
        return text

    def _line(self, key: Hashable, line: str) -> str:
        if key not in self._open:
            return line
        marker = _MARKER.search(line)
        if marker is not None and marker["side"] == "END":
            del self._open[key]
            return MASK + line[marker.end() :]
        if _BODY.fullmatch(line):
            self._open[key] = 0
            return MASK
        self._open[key] += 1
        if self._open[key] > _MOST_FOREIGN:
            del self._open[key]
        return line

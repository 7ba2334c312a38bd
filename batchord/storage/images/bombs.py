"""Files that are small, and take minutes or gigabytes to decode."""

import io
import struct
import time

from batchord.core.errors import DataError
from batchord.core.reasons import Reason

#: Scans of a JPEG: each goes over the whole picture. Encoders make about ten, and none has a use for more than 64 in
#: each of four colours.
_MOST_SCANS = 100
#: A picture of 50 MB is read some 50,000 times.
_MOST_READS = 250_000
_START_OF_SCAN = b"\xff\xda"
#: What follows 0xFF in a JPEG and has no length: a byte of a scan, padding, restarts, a picture's start; and its end.
_BARE = frozenset({0x00, 0x01, 0xFF, *range(0xD0, 0xD9)})
_PADDING, _END = 0xFF, 0xD9
#: Chunks of a PNG with text or a colour profile; Pillow reads them, refuses a picture over a large one, and makes no
#: use of them here but for what is short: XMP may say how a camera was held.
_NOTES = frozenset({b"iCCP", b"zTXt", b"tEXt", b"iTXt"})
_LONGEST_NOTE = 65_536
_PNG = b"\x89PNG\r\n\x1a\n"


class BoundedFile(io.BytesIO):
    """Bytes that are given out for so many seconds of the processor, as this thread counts them, and so many times.

    Decoders ask for a picture piece by piece, and what they do in between cannot be interrupted. Not by the clock: on a
    busy machine a picture would be to blame for its neighbours. Of each note in a picture Pillow makes several objects.
    """

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self._seconds = seconds
        self._end = time.thread_time() + seconds
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """See the base class. Raises DataError when the time is over, or for one more part than there may be."""
        self._reads += 1
        if self._reads > _MOST_READS:
            raise DataError(Reason.TOO_MANY_PARTS, f"The picture has more than {_MOST_READS:,} parts: save it again.")
        if time.thread_time() > self._end:
            raise DataError(
                Reason.TOO_SLOW_TO_DECODE,
                f"The picture takes more than {self._seconds:g} s to decode: save it again, or raise max_seconds.",
            )
        return super().read(size)


def scans_of(data: bytes) -> int:
    """How often a JPEG's picture is gone over; perhaps less often. Raises DataError when that is far too often."""
    found, end = _scans(data, most=1)
    # Behind the first one these bytes stand for another. A film that is appended to the picture has them by chance.
    found += data.count(_START_OF_SCAN, end)
    if found > _MOST_SCANS and (scans := _scans(data, most=len(data))[0]) > _MOST_SCANS:
        raise DataError(
            Reason.TOO_MANY_SCANS,
            f"The picture has {scans} scans, more than {_MOST_SCANS}: save it with the usual ten scans.",
        )
    return found


def _scans(data: bytes, *, most: int) -> tuple[int, int]:
    """How many there are, previews left out, up to ``most``; and where the last one's head ends."""
    scans, at = 0, 2
    while scans < most and (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        marker = data[at + 1]
        if marker == _END:
            break
        if marker in _BARE:
            at += 1 if marker == _PADDING else 2
            continue
        scans += marker == _START_OF_SCAN[1]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return scans, max(at, 0)


def without_notes(data: bytes) -> bytes | None:
    """A PNG without its colour profile, packed texts and long ones; None where it has none of these."""
    if not data.startswith(_PNG):
        return None
    view, kept, at = memoryview(data), [memoryview(_PNG)], len(_PNG)
    dropped = False
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind in _NOTES and (kind in (b"iCCP", b"zTXt") or length > _LONGEST_NOTE or _is_packed(view[at:end], kind)):
            dropped = True
        else:
            kept.append(view[at:end])
        at = end
    return b"".join(kept) if dropped else None


def _is_packed(chunk: memoryview, kind: bytes) -> bool:
    """Whether an international text is compressed: its keyword ends with a zero, and then it is said."""
    return kind == b"iTXt" and bytes(chunk[8:100]).partition(b"\0")[2][:1] == b"\1"

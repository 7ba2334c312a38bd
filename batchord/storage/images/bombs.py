"""Detects small files that would take minutes or gigabytes to decode."""

import io
import struct
import time

from batchord.core.errors import DataError
from batchord.core.reasons import Reason

#: The most scans of a JPEG. Each scan goes over the whole picture. Encoders make about ten, and no encoder needs more
#: than 64 in each of four colours.
_MOST_SCANS = 100
#: The most reads of a picture. Decoding a picture of 50 MB takes some 50,000 reads.
_MOST_READS = 250_000
_START_OF_SCAN = b"\xff\xda"
#: Bytes after 0xFF in a JPEG that have no length: a byte of a scan, padding, restarts, the picture's start.
_BARE = frozenset({0x00, 0x01, 0xFF, *range(0xD0, 0xD9)})
_PADDING, _END = 0xFF, 0xD9
#: Chunks of a PNG with text or a colour profile. Pillow reads them and refuses a picture with a large one. We need only
#: short ones: XMP may say how the camera was held.
_NOTES = frozenset({b"iCCP", b"zTXt", b"tEXt", b"iTXt"})
_LONGEST_NOTE = 65_536
_PNG = b"\x89PNG\r\n\x1a\n"


class BoundedFile(io.BytesIO):
    """A file whose reads raise after some seconds of this thread's processor time, or after too many reads.

    A decoder reads a picture piece by piece. Its work in between cannot be interrupted, so the limits are checked at
    each read. The limit is processor time, not the time of the clock: on a busy machine a picture would be blamed for
    its neighbours. The number of reads is limited because Pillow makes several objects of each note in a picture.
    """

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self._seconds = seconds
        self._end = time.thread_time() + seconds
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """See the base class. Raises DataError if the time is over or after too many reads."""
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
    """How many scans a JPEG has, at the most. Raises DataError if these are far too many."""
    count, end = _scans(data, most=1)
    # After the first scan, these bytes begin another one. A film that is appended to the picture has them by chance.
    count += data.count(_START_OF_SCAN, end)
    if count > _MOST_SCANS and (scans := _scans(data, most=len(data))[0]) > _MOST_SCANS:
        raise DataError(
            Reason.TOO_MANY_SCANS,
            f"The picture has {scans} scans, more than {_MOST_SCANS}: save it with the usual ten scans.",
        )
    return count


def _scans(data: bytes, *, most: int) -> tuple[int, int]:
    """The number of scans without those of previews, up to ``most``; and where the head of the last one ends."""
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
    """A PNG without its colour profile and without compressed or long texts; None if it has none of these."""
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
    """Whether an international text is compressed: the byte after the zero that ends its keyword says so."""
    return kind == b"iTXt" and bytes(chunk[8:100]).partition(b"\0")[2][:1] == b"\1"

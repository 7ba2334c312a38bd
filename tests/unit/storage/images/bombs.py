"""Small files that are much to decode."""

import io
import struct
import zlib

from PIL import Image

from tests.contracts.small_images import encoded

_PNG = b"\x89PNG\r\n\x1a\n"


def many_scans(side: int, more: int) -> bytes:
    """A progressive JPEG of one colour. Its last scan, under a hundred bytes, is repeated ``more`` times."""
    data = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * more + b"\xff\xd9"


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(*chunks: bytes, behind: bool = False) -> bytes:
    """A red PNG with further parts: before its picture, or behind it."""
    data = encoded(Image.new("RGB", (40, 30), "red"), "PNG")
    place = len(data) - 12 if behind else len(_PNG) + 25
    return data[:place] + b"".join(chunks) + data[place:]


def plain(side: int, *, depth: int, colour: int) -> bytes:
    """A black PNG of so many bits, packed to almost nothing."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    row = b"\0" + bytes(side * channels * depth // 8)
    with io.BytesIO() as packed:
        packer = zlib.compressobj(9)
        for _ in range(side):
            packed.write(packer.compress(row))
        packed.write(packer.flush())
        header = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0)
        return _PNG + chunk(b"IHDR", header) + chunk(b"IDAT", packed.getvalue()) + chunk(b"IEND", b"")

"""Small pictures as stored bytes, good and bad."""

import io
import struct
import zlib
from typing import Any

from PIL import Image


def picture(kind: str = "JPEG", *, size: tuple[int, int] = (40, 30), colour: Any = (200, 30, 60), **save: Any) -> bytes:
    """One colour in any of Pillow's formats."""
    return encoded(Image.new("RGB", size, colour), kind, **save)


def encoded(image: Image.Image, kind: str, **save: Any) -> bytes:
    """``image`` as the bytes of a file."""
    with io.BytesIO() as file:
        image.save(file, kind, **save)
        return file.getvalue()


def upside_down() -> bytes:
    """A JPEG with a red upper half, stored as cameras do: turned by 180 degrees, and a note of it."""
    image = Image.new("RGB", (40, 40), "red")
    image.paste("blue", (0, 20, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 3
    return encoded(image.transpose(Image.Transpose.ROTATE_180), "JPEG", exif=exif.tobytes())


def claims_pixels(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises any number of pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")

"""Unusual, damaged or dangerous pictures, and the expected result for each."""

import os
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, PngImagePlugin

from tests.contracts.small_images import claims_pixels, encoded, picture, upside_down
from tests.unit.storage.images.bombs import many_scans

_RED, _BLUE, _WHITE, _GREY = (255, 0, 0), (0, 0, 255), (255, 255, 255), (156, 156, 156)
Colour = tuple[int, int, int]
#: The colours of the first and the last pixel that a model sees, or the reason of the rejection.
Fate = tuple[Colour, Colour] | str


def odd_pictures() -> Iterator[tuple[str, bytes, Fate]]:
    """File name, stored bytes and expected result of each picture. None is larger than a few kilobytes."""
    jpeg = picture(size=(300, 200), colour="red")
    red, blue = Image.new("RGB", (40, 30), "red"), Image.new("RGB", (40, 30), "blue")
    yield "a PNG called.jpg", encoded(red, "PNG"), (_RED, _RED)
    yield "animated.gif", encoded(red, "GIF", save_all=True, append_images=[blue], duration=100), (_RED, _RED)
    yield "animated.webp", encoded(red, "WEBP", save_all=True, append_images=[blue], lossless=True), (_RED, _RED)
    yield "cmyk.jpg", encoded(Image.new("CMYK", (40, 30), (0, 255, 255, 0)), "JPEG"), (_RED, _RED)
    yield "sixteen bits.png", encoded(Image.new("I;16", (40, 30), 40_000), "PNG"), (_GREY, _GREY)
    yield "held upside down.jpg", upside_down(), (_RED, _BLUE)
    yield "broken note of how it was held.jpg", picture(colour="red", exif=b"Exif\0\0broken"), (_RED, _RED)
    yield "transparent.png", encoded(Image.new("RGBA", (40, 30), (255, 0, 0, 0)), "PNG"), (_WHITE, _WHITE)
    yield "palette.png", encoded(Image.new("P", (40, 30)), "PNG", transparency=0), (_WHITE, _WHITE)
    yield "one pixel.png", encoded(Image.new("1", (1, 1), 1), "PNG"), (_WHITE, _WHITE)

    yield "cut off.jpg", jpeg[: len(jpeg) // 2], "corrupt-image"
    yield "only begun.jpg", jpeg[:4], "corrupt-image"
    yield "overwritten.jpg", jpeg[:20] + b"\xff" * 100 + jpeg[120:], "corrupt-image"
    yield "too few pixels.png", claims_pixels(100, 100), "corrupt-image"
    yield "no bytes.jpg", b"", "empty-object"
    yield "a page.jpg", b"<html>Not found</html>", "format-not-allowed"
    yield "drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "format-not-allowed"
    # Decompression bombs: by the header alone, in truth (64 million pixels in a few kilobytes), and by scans.
    yield "claims to be huge.png", claims_pixels(60_000, 60_000), "too-many-pixels"
    yield "huge.png", encoded(Image.new("1", (8_000, 8_000)), "PNG"), "too-many-pixels"
    yield "hundreds of scans.jpg", many_scans(1000, 300), "too-many-scans"
    # In a comment it makes the picture no worse.
    comment = PngImagePlugin.PngInfo()
    comment.add_text("comment", "x" * 70_000_000, zip=True)
    yield "huge comment.png", encoded(red, "PNG", pnginfo=comment), (_RED, _RED)
    yield "too many bytes.bmp", encoded(Image.new("RGB", (600, 600)), "BMP"), "too-large"


def odd_locations(photos: Path) -> Iterator[tuple[str | None, str]]:
    """Locations of no picture, and why each is rejected."""
    yield None, "missing-location"
    yield " \n", "missing-location"
    yield f"file://{photos}/absent.jpg", "missing-object"
    yield f"file://{photos}/{'x' * 1_000_000}.jpg", "missing-object"
    yield f"file://{photos}/../photos/absent.jpg", "location-not-allowed"
    yield "file:///etc/hostname", "location-not-allowed"
    yield "https://example.org/a.jpg", "location-not-allowed"
    yield "s3://somewhere/else.jpg", "location-not-allowed"
    (photos / "leads out.jpg").symlink_to("/etc/hostname")
    yield f"file://{photos}/leads out.jpg", "location-not-allowed"
    (photos / "leads to itself.jpg").symlink_to("leads to itself.jpg")
    yield f"file://{photos}/leads to itself.jpg", "unreadable-object"
    (photos / "folder.jpg").mkdir()
    yield f"file://{photos}/folder.jpg", "unreadable-object"
    os.mkfifo(photos / "never answers.jpg")  # opening it as a file blocks for ever
    yield f"file://{photos}/never answers.jpg", "unreadable-object"

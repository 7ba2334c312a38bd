"""Every mode of Pillow becomes RGB without clipping or false colours."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from batchord import Images
from batchord.core.errors import DataError
from batchord.storage.images.decoding import decode, prepare
from batchord.storage.images.modes import to_rgb
from tests.contracts.small_images import encoded

_ACCEPT = Images(column="photo", allow=("s3://photos/",))


def _first(image: Image.Image) -> Any:
    assert image.mode == "RGB"
    return image.getpixel((0, 0))


@pytest.mark.parametrize(
    ("mode", "colour", "rgb"),
    [
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("HSV", (0, 255, 255), (255, 0, 0)),
        ("RGBA", (0, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("LA", (0, 0), (255, 255, 255)),
        ("LA", (9, 255), (9, 9, 9)),
        ("I", 200, (200, 200, 200)),
        ("I", 65_535, (255, 255, 255)),
        ("F", 0.5, (128, 128, 128)),
        ("F", 200.0, (200, 200, 200)),
        ("F", float("nan"), (0, 0, 0)),
    ],
)
def test_modes_become_rgb(mode: str, colour: Any, rgb: tuple[int, int, int]) -> None:
    """Transparent parts are laid on white; numbers are scaled by the range that they fit."""
    assert _first(to_rgb(Image.new(mode, (2, 2), colour))) == rgb


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    """A grey of 16 bits, as medical and scientific pictures have, keeps its brightness."""
    values = np.array([[0, 32_768, 65_535]], dtype=np.uint16)

    image = decode(encoded(Image.fromarray(values), "PNG"), _ACCEPT)

    assert [image.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


def test_values_without_a_known_range_are_stretched() -> None:
    """Below zero or beyond 16 bits: from black to white by their own least and greatest."""
    image = to_rgb(Image.fromarray(np.array([[-10.0, 990.0]], dtype=np.float32)))

    assert [image.getpixel((x, 0)) for x in range(2)] == [(0, 0, 0), (255, 255, 255)]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palette_with_transparency_is_laid_on_white(kind: str) -> None:
    """The hidden colour of a transparent palette entry does not appear."""
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((3, 3), 1)

    decoded = decode(encoded(image, kind, transparency=0), _ACCEPT)

    assert _first(decoded) == (255, 255, 255)
    assert decoded.getpixel((3, 3)) == (0, 0, 255)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    """One record is one picture."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]

    image = decode(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), _ACCEPT)

    assert _first(image) == (255, 0, 0)


def test_a_cmyk_jpeg_has_its_colours() -> None:
    """Printers' files, which Adobe stores inverted."""
    image = decode(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"), _ACCEPT)

    assert _first(image) == pytest.approx((255, 0, 0), abs=8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_stand_upright(orientation: int) -> None:
    """The eight ways in which a camera may have been held: the red corner is always the first."""
    upright = Image.new("RGB", (32, 16), "blue")
    upright.paste("red", (0, 0, 8, 8))
    stored_as = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = upright
    for method in stored_as.get(orientation, []):
        stored = stored.transpose(method)
    exif = Image.Exif()
    exif[0x0112] = orientation

    image = decode(encoded(stored, "PNG", exif=exif.tobytes()), _ACCEPT)

    assert image.size == (32, 16)
    assert _first(image) == (255, 0, 0)


def test_broken_exif_does_not_spoil_a_picture() -> None:
    """Metadata that makes no sense is not followed."""
    prepare(_ACCEPT)
    data = encoded(Image.new("RGB", (8, 8), "red"), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")

    assert _first(decode(data, _ACCEPT)) == pytest.approx((254, 0, 0), abs=2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_cut_is_an_image_or_a_rejection(kind: str) -> None:
    """Wherever a file is cut or damaged: never another kind of error."""
    prepare(_ACCEPT)
    whole = encoded(Image.effect_noise((24, 24), 90).convert("RGB"), kind)
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        for broken in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            try:
                assert decode(broken, _ACCEPT).mode == "RGB"
            except DataError as error:
                assert error.reason in {"empty-object", "format-not-allowed", "corrupt-image", "too-many-pixels"}  # noqa: PT017


def test_an_unknown_format_is_the_authors_to_correct() -> None:
    """Pillow has no format named JPG, which is how files are called."""
    with pytest.raises(Exception, match=r"'JPG'.*did you mean 'JPEG'"):
        prepare(Images(column="photo", allow=("s3://photos/",), formats=("JPG",)))

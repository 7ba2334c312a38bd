"""Makes several hundred different JPEGs of a few real photographs."""

import io
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from demo.files import demo_file, scikit_learn_photos

if TYPE_CHECKING:
    from PIL import Image

#: Photographs in scikit-image's wheel. Its textures, scans and pictures of the sky are left out.
_SCIKIT_IMAGE = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "rocket.jpg",
)
_SCIKIT_LEARN = ("china.jpg", "flower.jpg")
_NAMES = sorted(Path(name).stem for name in (*_SCIKIT_IMAGE, *_SCIKIT_LEARN))
#: The least share of a photograph's width and height that a cut-out keeps.
_KEPT = 0.6
#: The range of the longer side of the JPEGs, in pixels.
_SIDES = (280, 800)


def originals() -> dict[str, Path]:
    """The photographs by name. Raises ConfigurationError if the data are missing."""
    paths = [demo_file(f"skimage/data/{name}") for name in _SCIKIT_IMAGE]
    paths += [scikit_learn_photos() / name for name in _SCIKIT_LEARN]
    return {path.stem: path for path in paths}


def photo_name(number: int) -> str:
    """The name of JPEG ``number``, such as ``00017-chelsea.jpg``."""
    return f"{number:05d}-{_NAMES[number % len(_NAMES)]}.jpg"


def photo(number: int) -> bytes:
    """JPEG ``number``: a cut-out with its own place, size, side (mirrored or not) and quality; always the same.

    Several threads may call it. Raises ConfigurationError if the data are missing.
    """
    return _cut_out(_opened(_NAMES[number % len(_NAMES)]), random.Random(number))  # noqa: S311 (no secret)


def photos(count: int, *, start: int = 0) -> Iterator[tuple[str, bytes]]:
    """``count`` JPEGs from number ``start`` on, as name and bytes. Raises the errors of :func:`photo`."""
    for number in range(start, start + count):
        yield photo_name(number), photo(number)


@cache
def _opened(name: str) -> "Image.Image":
    from PIL import Image

    with Image.open(originals()[name]) as picture:
        return picture.convert("RGB")


def _cut_out(picture: "Image.Image", chance: random.Random) -> bytes:
    from PIL import Image

    width, height = (round(side * chance.uniform(_KEPT, 1)) for side in picture.size)
    left, top = chance.randint(0, picture.width - width), chance.randint(0, picture.height - height)
    scale = chance.randint(*_SIDES) / max(width, height)
    size = (round(width * scale), round(height * scale))
    cut = picture.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))
    if chance.random() < 0.5:  # noqa: PLR2004 (one half)
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    file = io.BytesIO()
    cut.save(file, "JPEG", quality=chance.randint(75, 95))
    return file.getvalue()

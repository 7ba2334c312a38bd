"""Converts any mode of Pillow to RGB, without the losses of ``convert("RGB")`` alone.

``convert`` clips 16-bit values at 255, which gives a white picture. It also drops transparency, so that hidden colours
appear. Here 16 bits are scaled to 8, and transparent parts are laid on white, as in a browser.
"""

from collections.abc import Callable, Iterator
from typing import Any

from PIL import Image

_MAX_8, _MAX_16 = 255, 65_535
#: Pixels of a band of rows: a few MB of any kind of number.
_BAND_PIXELS = 250_000
_TRANSPARENT = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})


def to_rgb(image: Image.Image) -> Image.Image:
    """``image`` in RGB. Raises ValueError for a mode that cannot be shown as a picture, such as LAB.

    It works in bands of rows: intermediate values of the whole picture would take several times its memory.
    """
    if image.mode.startswith(("I", "F")):
        return _from_numbers(image)
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        return _in_bands(image, _on_white)
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(band: Image.Image) -> Image.Image:
    layer = band.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)


def _from_numbers(image: Image.Image) -> Image.Image:
    """A grey picture from 16-bit, 32-bit or floating-point values.

    ``I;16`` has a fixed range. ``I`` and ``F`` have none. If their values fit 8 or 16 bits, that is the range; for
    fractions it is 0 to 1. Any other values are stretched from the least to the greatest of them.
    """
    import numpy as np

    least, greatest = 0.0, float(_MAX_16)
    if not image.mode.startswith("I;16"):
        least, greatest = _range(image)

    def scaled(band: Image.Image) -> Image.Image:
        values = (_numbers(band) - least) * (_MAX_8 / ((greatest - least) or 1.0))
        return Image.fromarray(np.rint(values).astype(np.uint8))

    return _in_bands(image, scaled)


def _range(image: Image.Image) -> tuple[float, float]:
    """The values of black and of white."""
    ends = [(float(values.min()), float(values.max())) for values in map(_numbers, _bands(image))]
    least, greatest = min(low for low, _ in ends), max(high for _, high in ends)
    if least < 0:
        return least, greatest
    tops = (1.0, float(_MAX_8), float(_MAX_16)) if image.mode == "F" else (float(_MAX_8), float(_MAX_16))
    return 0.0, next((top for top in tops if greatest <= top), greatest)


def _numbers(band: Image.Image) -> Any:
    import numpy as np

    return np.nan_to_num(np.asarray(band).astype(np.float64), posinf=0.0, neginf=0.0)


def _in_bands(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The picture in RGB after ``change`` was applied to each band."""
    changed, top = Image.new("RGB", image.size), 0
    for band in _bands(image):
        changed.paste(change(band).convert("RGB"), (0, top))
        top += band.height
    return changed


def _bands(image: Image.Image) -> Iterator[Image.Image]:
    rows = max(1, _BAND_PIXELS // max(1, image.width))
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))

"""Any mode of Pillow to RGB, without the losses that ``convert("RGB")`` alone would have.

``convert`` clips 16-bit values at 255 (a white picture) and drops transparency (whatever colour lies
hidden beneath it appears). Here 16 bits are scaled to 8, and transparent parts are laid on white, as a
browser shows them.
"""

from typing import Any

from PIL import Image

_MAX_8, _MAX_16 = 255, 65_535
_TRANSPARENT = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})


def to_rgb(image: Image.Image) -> Image.Image:
    """``image`` in RGB. Raises ValueError for a mode that has no meaning as a picture, such as LAB."""
    if image.mode.startswith(("I", "F")):
        return _from_numbers(image)
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_numbers(image: Image.Image) -> Image.Image:
    """Grey from 16-bit, 32-bit or floating-point values.

    ``I;16`` has a known range. ``I`` and ``F`` have none: values that fit 8 or 16 bits are taken as such,
    fractions as 0 to 1, and anything else is stretched from its own least to its own greatest value.
    """
    import numpy as np

    values: Any = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0, neginf=0.0)
    least, greatest = float(values.min()), float(values.max())
    if image.mode.startswith("I;16"):
        least, greatest = 0.0, float(_MAX_16)
    elif least >= 0:
        tops = (1.0, float(_MAX_8), float(_MAX_16)) if image.mode == "F" else (float(_MAX_8), float(_MAX_16))
        least, greatest = 0.0, next((top for top in tops if greatest <= top), greatest)
    scaled = (values - least) * (_MAX_8 / ((greatest - least) or 1.0))
    return Image.fromarray(np.rint(scaled).astype(np.uint8)).convert("RGB")

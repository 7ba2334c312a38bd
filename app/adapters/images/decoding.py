"""Stored bytes to a picture, or the reason why not."""

import io
import warnings

from PIL import Image, UnidentifiedImageError

from app.adapters.images.modes import to_rgb
from app.core.errors import ConfigurationError, DataError
from app.core.models import Images

_ORIENTATION = 0x0112
#: EXIF's orientation -> what makes the picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIGNATURE_BYTES = 16


def prepare(accept: Images) -> None:
    """Readies Pillow in this process for ``accept``.

    Raises ConfigurationError for a format that this installation of Pillow does not read.
    """
    Image.init()
    unknown = [name for name in accept.formats if name not in Image.OPEN]
    if unknown:
        raise ConfigurationError(
            f"Images formats={unknown} cannot be read here: Pillow knows {', '.join(sorted(Image.OPEN))}."
        )
    # The size is checked against max_pixels before decoding. Pillow's own limit comes first and would
    # refuse what an author allows, so it is raised, but never lowered or removed: others may rely on it.
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, accept.max_pixels)
    # What Pillow warns of (odd metadata, large sizes) is about single records and would fill the logs of
    # workers; what matters becomes a rejection. catch_warnings is no choice: it is not thread-safe.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def decode(data: bytes, accept: Images, *, least_side: int | None = None) -> Image.Image:
    """The first frame in RGB, upright.

    ``least_side``: a picture whose sides are a multiple of it is given at a fraction of its size; a JPEG is not even
    decoded at more.

    Raises DataError: empty-object, format-not-allowed, too-many-pixels or corrupt-image.
    """
    if not data:
        raise DataError("empty-object", "The stored object has no bytes: upload it again.")
    try:
        with Image.open(io.BytesIO(data), formats=tuple(accept.formats)) as image:
            _check_size(image, accept)
            if least_side is not None:
                image.draft(None, (least_side, least_side))  # what is no JPEG stays as it is
            image.load()
            return _reduced(to_rgb(_upright(image)), least_side)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError("too-many-pixels", f"{error} Shrink it, or raise max_pixels.") from error
    except UnidentifiedImageError as error:
        raise _unidentified(data, accept) from error
    except MemoryError:
        raise  # the worker's trouble, not the picture's
    except Exception as error:
        # Decoders answer broken bytes with OSError, SyntaxError, ValueError, struct.error, IndexError, … :
        # a list of them would miss one, and one missed would fail the whole shard for one picture.
        raise DataError("corrupt-image", f"The picture cannot be decoded: {type(error).__name__}: {error}.") from error


def _reduced(image: Image.Image, least_side: int | None) -> Image.Image:
    factor = 1 if least_side is None else min(image.size) // least_side
    return image.reduce(factor) if factor > 1 else image


def _check_size(image: Image.Image, accept: Images) -> None:
    width, height = image.size
    if width * height > accept.max_pixels:
        raise DataError(
            "too-many-pixels",
            f"The picture has {width} x {height} pixels, more than {accept.max_pixels:,}: "
            "shrink it, or raise max_pixels.",
        )


def _upright(image: Image.Image) -> Image.Image:
    # Not ImageOps.exif_transpose: it also rewrites the EXIF data, and fails where that is broken.
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001  broken metadata does not make the picture unreadable
        return image
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    if method is None:
        return image
    turned = image.transpose(method)
    turned.info = image.info  # transparency is kept there
    return turned


def _unidentified(data: bytes, accept: Images) -> DataError:
    prefix = data[:_SIGNATURE_BYTES]
    for name in accept.formats:
        recognises = Image.OPEN[name][1]
        if recognises is not None and recognises(prefix):
            return DataError("corrupt-image", f"The bytes begin as {name} and then make no sense: upload it again.")
    return DataError(
        "format-not-allowed",
        f"The bytes are of none of the accepted formats ({', '.join(accept.formats)}); they begin with {prefix[:8]!r}.",
    )

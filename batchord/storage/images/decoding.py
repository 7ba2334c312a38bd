"""Decodes stored bytes to a picture, or gives the reason why they cannot be decoded."""

import warnings
from collections.abc import Callable
from contextlib import nullcontext

from PIL import Image, ImageFile, UnidentifiedImageError

from batchord.core.declared.models import Images
from batchord.core.errors import ConfigurationError, DataError
from batchord.core.process.exhaustion import is_exhaustion
from batchord.core.reasons import Reason
from batchord.core.text.error_text import clause
from batchord.core.text.similar import meant
from batchord.storage.images.bombs import BoundedFile, scans_of, without_notes
from batchord.storage.images.modes import to_rgb
from batchord.storage.images.room import Batch, BatchFull, Room

_ORIENTATION = 0x0112
#: EXIF's orientation -> the operation that makes the picture upright.
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
_JPEGS = frozenset({"JPEG", "MPO"})
#: Formats that are decoded row by row. They need memory for the picture and for one more in RGB; others need twice as
#: much.
_BY_ROWS = frozenset({*_JPEGS, "PNG", "BMP", "GIF", "TIFF"})
#: Bytes of a pixel: in RGB, as Pillow keeps it, and as coefficients of a progressive JPEG.
_RGB_BYTES, _COEFFICIENT_BYTES = 4, 6
#: Bytes that the decoder of a JPEG with several scans gets at once. A scan of a large picture may have less than a
#: hundred bytes and take half a second, and the time is only checked between pieces.
_PIECE_BYTES = 1024


def prepare(accept: Images) -> None:
    """Prepares Pillow in this process for ``accept``.

    Raises ConfigurationError for a format that this installation of Pillow does not read.
    """
    Image.init()
    unknown = [name for name in accept.formats if name not in Image.OPEN]
    if unknown:
        advice = meant(unknown[0], sorted(Image.OPEN), listed="Pillow reads")
        raise ConfigurationError(f"Images formats={unknown} cannot be read here; {advice}")
    # We check the size against max_pixels before decoding. Pillow checks its own limit first and would refuse pictures
    # that an author allows. So we raise its limit, but never lower or remove it: other code may rely on it.
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, accept.max_pixels)
    # Pillow's warnings (odd metadata, large sizes) are about single records and would fill the workers' logs. Real
    # problems become rejections. catch_warnings cannot be used here: it is not thread-safe.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def decode(
    data: bytes,
    accept: Images,
    *,
    room: Room | None = None,
    batch: Batch | None = None,
    least_side: int | None = None,
) -> Image.Image:
    """The first frame in RGB, upright.

    Args:
        data: The stored bytes.
        accept: Which images are accepted.
        room: The memory for decoding. The call waits until there is enough.
        batch: The batch that the picture becomes a part of.
        least_side: If the picture's sides are several times as long, it is returned at a fraction of its size. A JPEG
            is even decoded at a fraction of its size.

    Raises DataError (empty-object, format-not-allowed, too-many-pixels, too-many-scans, too-many-parts,
    too-slow-to-decode, corrupt-image) or BatchFull.
    """
    if not data:
        raise DataError(Reason.EMPTY_OBJECT, "The stored object has no bytes: upload it again.")

    def decoded(data: bytes) -> Image.Image:
        return _decoded(data, accept, room=room, batch=batch, least_side=least_side)

    try:
        return _despite_notes(data, decoded)
    except (DataError, BatchFull):
        raise
    except Image.DecompressionBombError as error:
        raise DataError(Reason.TOO_MANY_PIXELS, f"{error} Shrink it, or raise max_pixels.") from error
    except UnidentifiedImageError as error:
        raise _unidentified(data, accept) from error
    except Exception as error:
        if is_exhaustion(error):
            raise  # the worker is to blame, not the picture
        # Decoders raise OSError, SyntaxError, ValueError, struct.error, IndexError, … for broken bytes. A list of them
        # would miss some, and then a single picture would fail the whole shard.
        raise DataError(
            Reason.CORRUPT_IMAGE, f"The picture cannot be decoded: {type(error).__name__}: {clause(error)}."
        ) from error


def _despite_notes(data: bytes, decoded: Callable[[bytes], Image.Image]) -> Image.Image:
    try:
        return decoded(data)
    except (DataError, BatchFull, Image.DecompressionBombError, MemoryError):
        raise
    except Exception:
        # The picture's notes may be the reason. They are not visible, so try again without them.
        plain = without_notes(data)
        if plain is None:
            raise
    return decoded(plain)


def _decoded(
    data: bytes, accept: Images, *, room: Room | None, batch: Batch | None, least_side: int | None
) -> Image.Image:
    with Image.open(BoundedFile(data, accept.max_seconds), formats=tuple(accept.formats)) as image:
        _check_size(image, accept)
        stored, scans = image.size, scans_of(data) if image.format in _JPEGS else 0
        if scans > 1:
            assert isinstance(image, ImageFile.ImageFile)  # noqa: S101 -- what open() gives
            image.decodermaxblock = _PIECE_BYTES
        if least_side is not None:
            image.draft(None, (least_side, least_side))  # has an effect only on a JPEG
        if batch is not None:
            batch.admit(_kept(image, least_side))
        with nullcontext() if room is None else room.taken(_needed(image, stored, scans)):
            image.load()
            return _reduced(to_rgb(_upright(image)), least_side)


def _kept(image: Image.Image, least_side: int | None) -> int:
    """Bytes of the picture that the model will get."""
    width, height = image.size
    return width * height // _factor(image, least_side) ** 2 * _RGB_BYTES


def _needed(image: Image.Image, stored: tuple[int, int], scans: int) -> int:
    """The most bytes that decoding takes, as measured: docs/decisions/0053."""
    width, height = image.size
    if scans > 1:  # the decoder holds all coefficients until the last scan, even if it decodes to a small size
        return width * height * 2 * _RGB_BYTES + stored[0] * stored[1] * _COEFFICIENT_BYTES
    return width * height * _RGB_BYTES * (2 if image.format in _BY_ROWS else 4)


def _reduced(image: Image.Image, least_side: int | None) -> Image.Image:
    factor = _factor(image, least_side)
    return image.reduce(factor) if factor > 1 else image


def _factor(image: Image.Image, least_side: int | None) -> int:
    return 1 if least_side is None else max(1, min(image.size) // least_side)


def _check_size(image: Image.Image, accept: Images) -> None:
    width, height = image.size
    if width * height > accept.max_pixels:
        raise DataError(
            Reason.TOO_MANY_PIXELS,
            f"The picture has {width} x {height} pixels, more than {accept.max_pixels:,}: "
            "shrink it, or raise max_pixels.",
        )


def _upright(image: Image.Image) -> Image.Image:
    # Not ImageOps.exif_transpose: it also rewrites the EXIF data, and fails if these are broken.
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001  broken metadata does not make the picture unreadable
        return image
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    if method is None:
        return image
    turned = image.transpose(method)
    turned.info = image.info  # it holds the transparency
    return turned


def _unidentified(data: bytes, accept: Images) -> DataError:
    prefix = data[:_SIGNATURE_BYTES]
    for name in accept.formats:
        recognises = Image.OPEN[name][1]
        if recognises is not None and recognises(prefix):
            return DataError(
                Reason.CORRUPT_IMAGE, f"The file begins as {name}, but the rest cannot be decoded: upload it again."
            )
    return DataError(
        Reason.FORMAT_NOT_ALLOWED,
        f"The file has none of the accepted formats ({', '.join(accept.formats)}); it begins with {prefix[:8]!r}.",
    )

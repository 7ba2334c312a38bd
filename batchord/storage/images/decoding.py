"""Stored bytes to a picture, or the reason why not."""

import warnings
from collections.abc import Callable
from contextlib import nullcontext

from PIL import Image, ImageFile, UnidentifiedImageError

from batchord.core.declared.models import Images
from batchord.core.errors import ConfigurationError, DataError
from batchord.core.process.exhaustion import is_exhaustion
from batchord.core.reasons import Reason
from batchord.storage.images.bombs import BoundedFile, scans_of, without_notes
from batchord.storage.images.modes import to_rgb
from batchord.storage.images.room import Batch, BatchFull, Room

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
_JPEGS = frozenset({"JPEG", "MPO"})
#: Formats that are decoded row by row: the picture and one more in RGB. Others hold it twice more.
_BY_ROWS = frozenset({*_JPEGS, "PNG", "BMP", "GIF", "TIFF"})
#: Of a pixel: in RGB, as Pillow keeps it; of a progressive JPEG's coefficients.
_RGB_BYTES, _COEFFICIENT_BYTES = 4, 6
#: What a decoder is given at a time of a JPEG with several scans. One of a large picture may have less than a hundred
#: bytes and take half a second, and within a piece nobody looks at the time.
_PIECE_BYTES = 1024


def prepare(accept: Images) -> None:
    """Readies Pillow in this process for ``accept``.

    Raises ConfigurationError for a format that this installation of Pillow does not read.
    """
    Image.init()
    unknown = [name for name in accept.formats if name not in Image.OPEN]
    if unknown:
        raise ConfigurationError(
            f"Images formats={unknown} cannot be read here: Pillow reads {', '.join(sorted(Image.OPEN))}."
        )
    # The size is checked against max_pixels before decoding. Pillow's own limit comes first and would
    # refuse what an author allows, so it is raised, but never lowered or removed: others may rely on it.
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, accept.max_pixels)
    # What Pillow warns of (odd metadata, large sizes) is about single records and would fill the logs of
    # workers; what matters becomes a rejection. catch_warnings is no choice: it is not thread-safe.
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

    ``room`` is waited for, if it is given. ``batch``: what the picture is to be a part of. ``least_side``: a picture
    whose sides are a multiple of it is given at a fraction of its size; a JPEG is not even decoded at more.

    Raises DataError: empty-object, format-not-allowed, too-many-pixels, too-many-scans, too-many-parts,
    too-slow-to-decode or corrupt-image; BatchFull.
    """
    if not data:
        raise DataError(Reason.EMPTY_OBJECT, "The stored object has no bytes: upload it again.")

    def decoded(data: bytes) -> Image.Image:
        return _decoded(data, accept, room=room, batch=batch, least_side=least_side)

    try:
        return _bearing_notes(data, decoded)
    except (DataError, BatchFull):
        raise
    except Image.DecompressionBombError as error:
        raise DataError(Reason.TOO_MANY_PIXELS, f"{error} Shrink it, or raise max_pixels.") from error
    except UnidentifiedImageError as error:
        raise _unidentified(data, accept) from error
    except Exception as error:
        if is_exhaustion(error):
            raise  # the worker's trouble, not the picture's
        # Decoders answer broken bytes with OSError, SyntaxError, ValueError, struct.error, IndexError, … :
        # a list of them would miss one, and one missed would fail the whole shard for one picture.
        raise DataError(
            Reason.CORRUPT_IMAGE, f"The picture cannot be decoded: {type(error).__name__}: {error}."
        ) from error


def _bearing_notes(data: bytes, decoded: Callable[[bytes], Image.Image]) -> Image.Image:
    try:
        return decoded(data)
    except (DataError, BatchFull, Image.DecompressionBombError, MemoryError):
        raise
    except Exception:
        # Its notes may be the reason, and they are no part of what is seen.
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
            image.draft(None, (least_side, least_side))  # what is no JPEG stays as it is
        if batch is not None:
            batch.admit(_kept(image, least_side))
        with nullcontext() if room is None else room.taken(_needed(image, stored, scans)):
            image.load()
            return _reduced(to_rgb(_upright(image)), least_side)


def _kept(image: Image.Image, least_side: int | None) -> int:
    """Bytes of the picture that the model gets."""
    width, height = image.size
    return width * height // _factor(image, least_side) ** 2 * _RGB_BYTES


def _needed(image: Image.Image, stored: tuple[int, int], scans: int) -> int:
    """Bytes that decoding takes at the most, as measured: docs/decisions/0053."""
    width, height = image.size
    if scans > 1:  # all of it is held until the last one, however small it is decoded
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
            return DataError(
                Reason.CORRUPT_IMAGE, f"The file begins as {name}, but the rest cannot be decoded: upload it again."
            )
    return DataError(
        Reason.FORMAT_NOT_ALLOWED,
        f"The file has none of the accepted formats ({', '.join(accept.formats)}); it begins with {prefix[:8]!r}.",
    )

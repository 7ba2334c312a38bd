"""A small file that takes minutes or gigabytes to decode costs only its record, and little time."""

import gc
import random
import resource
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from PIL import Image

from batchord import Images
from batchord.core.errors import DataError
from batchord.storage.images.decoding import decode, prepare
from tests.contracts.small_images import encoded, picture
from tests.unit.storage.images.bombs import chunk, many_scans, plain, with_chunks

_MEGABYTE = 2**20
#: A text of more than Pillow takes, packed to a few kilobytes.
_PACKED = zlib.compress(b"x" * 3 * _MEGABYTE)


def _accept(**more: Any) -> Images:
    accept = Images(column="photo", allow=("s3://photos/",), **more)
    prepare(accept)
    return accept


def _reason(data: bytes, **more: Any) -> str:
    with pytest.raises(DataError) as caught:
        decode(data, _accept(**more))
    assert str(caught.value)
    return caught.value.reason


@contextmanager
def _room_for(megabytes: int) -> Iterator[None]:
    """Lets this process take so much more memory than it has."""
    gc.collect()
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (psutil.Process().memory_info().data + megabytes * _MEGABYTE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def test_hundreds_of_scans_are_refused_at_once() -> None:
    """Each goes over the whole picture: these would take minutes."""
    began = time.thread_time()
    assert _reason(many_scans(4000, 600)) == "too-many-scans"
    assert time.thread_time() - began < 2


def test_scans_of_a_picture_that_is_not_progressive_count_as_well() -> None:
    """The standard allows one scan per colour, but decoders accept more."""
    data = encoded(Image.new("L", (64, 64), 128), "JPEG")
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert _reason(data[:-2] + scan * 200 + b"\xff\xd9") == "too-many-scans"


def test_a_decoder_is_given_so_many_seconds() -> None:
    """Of the processor: with fewer scans than are refused, it is ended among them."""
    began = time.thread_time()
    assert _reason(many_scans(3000, 90), max_seconds=0.1) == "too-slow-to-decode"
    assert time.thread_time() - began < 5


def test_waiting_is_not_decoding() -> None:
    """Another thread's work is not to a picture's account."""
    before = time.thread_time()
    while time.thread_time() - before < 0.3:  # this thread has worked longer than the picture may
        pass
    assert decode(picture(), _accept(max_seconds=0.25)).size == (40, 30)


def test_the_usual_progressive_picture_is_none() -> None:
    """Also with a preview, which has scans of its own, and with a film behind it that looks like scans."""
    preview = encoded(Image.new("RGB", (160, 120), "red"), "JPEG", progressive=True)
    exif = b"Exif\0\0" + preview * 12
    data = picture(colour="red", progressive=True, size=(640, 480), exif=exif)
    assert data.count(b"\xff\xda") > 100
    film = b"\xff\xda" * 500 + random.Random(1).randbytes(10_000)  # noqa: S311 -- no secret
    assert decode(data + film, _accept()).getpixel((9, 9)) == pytest.approx((255, 0, 0), abs=3)


@pytest.mark.parametrize(("depth", "colour"), [(16, 0), (16, 2), (8, 4), (8, 6)])
def test_a_picture_takes_little_more_than_itself(depth: int, colour: int) -> None:
    """Grey in 16 bits took 28 bytes for each of its pixels, transparency 20; now at most twelve."""
    data = plain(4000, depth=depth, colour=colour)
    assert len(data) < 100_000
    accept = _accept()
    decode(plain(8, depth=depth, colour=colour), accept)  # what is loaded once
    with _room_for(16 * 12 + 20):
        assert decode(data, accept).size == (4000, 4000)


_NOTES = {
    "a packed text": [chunk(b"zTXt", b"Comment\0\0" + _PACKED)],
    "a packed international text": [chunk(b"iTXt", b"Comment\0\1\0\0\0" + _PACKED)],
    "a colour profile": [chunk(b"iCCP", b"scanner\0\0" + _PACKED)],
    "a colour profile of another method": [chunk(b"iCCP", b"scanner\0\1" + _PACKED)],
    "more texts than Pillow takes": [chunk(b"tEXt", b"Comment\0" + b"x" * 33 * _MEGABYTE)] * 2,
    "a text whose checksum is wrong": [chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x"))[:-1] + b"?"],
}


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("notes", _NOTES)
def test_notes_do_not_make_a_picture_corrupt(notes: str, behind: bool) -> None:  # noqa: FBT001 -- a table's column
    """However long, and wherever they stand: they are no part of what is seen."""
    data = with_chunks(*_NOTES[notes], behind=behind)
    assert decode(data, _accept(max_bytes=100_000_000)).getpixel((9, 9)) == (255, 0, 0)


def test_a_note_of_how_a_camera_was_held_is_read_beside_a_large_profile() -> None:
    """Where it is in the way that PNG has for it."""
    image = Image.new("RGB", (40, 40), "red")
    image.paste("blue", (0, 20, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 3
    data = with_chunks(chunk(b"iCCP", b"scanner\0\0" + _PACKED), chunk(b"eXIf", exif.tobytes()[6:]))
    assert decode(data, _accept()).size == (40, 30)
    turned = encoded(image.transpose(Image.Transpose.ROTATE_180), "PNG", exif=exif)
    turned = turned[:33] + chunk(b"iCCP", b"scanner\0\0" + _PACKED) + turned[33:]
    assert decode(turned, _accept()).getpixel((20, 5)) == (255, 0, 0)


@pytest.mark.parametrize("kind", [b"teSt", b"tEXt"])
def test_a_png_of_hundreds_of_thousands_of_parts_is_refused(kind: bytes) -> None:
    """Each makes objects of Python's."""
    began = time.thread_time()
    assert _reason(with_chunks(chunk(kind, b"a\0b") * 300_000)) == "too-many-parts"
    assert time.thread_time() - began < 5


def test_a_jpeg_of_millions_of_comments_is_refused() -> None:
    """As well."""
    data = picture()
    assert _reason(data[:2] + b"\xff\xfe\0\2" * 1_000_000 + data[2:]) == "too-many-parts"


@pytest.mark.parametrize("given", [0, -1, "1", None, True])
def test_the_time_is_a_number_above_zero(given: Any) -> None:
    """Said when the file is loaded."""
    (problem,) = Images(column="a", allow=("s3://a/",), max_seconds=given).problems()
    assert "max_seconds=" in problem

"""What every place for images owes its callers (:class:`batchord.core.ports.ImageStore`), over S3 and over files."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from pydantic import SecretStr

from app.localstack import Servers
from batchord import Images
from batchord.core.ports import LoadedImages
from batchord.storage.images import ImageReader
from batchord.storage.objects import Objects
from tests.contracts.small_images import claims_pixels, picture, upside_down

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Place:
    """Somewhere that keeps images."""

    reader: ImageReader
    #: What a pipeline allows; it ends with ``/``.
    prefix: str
    #: Stores bytes under a path (relative to ``outside``) and gives its location.
    put: Callable[[str, bytes], str]

    def read(self, locations: dict[Any, Any], *, side: int | None = None, **accept: Any) -> LoadedImages:
        """Reads ``locations`` (by key), which are allowed below the prefix."""
        series = pd.Series(list(locations.values()), index=pd.Index(list(locations), dtype=object), dtype=object)
        return self.reader.read(series, Images(column="photo", allow=(self.prefix,), **accept), side=side)

    def reason(self, location: Any, **accept: Any) -> str:
        """Why one location is rejected."""
        found = self.read({1: location}, **accept)
        assert not found.images
        assert not found.digests
        (rejection,) = found.rejections
        assert rejection.key == 1
        assert rejection.detail
        return rejection.reason


@pytest.fixture(params=["s3", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each kind of place in turn; only the folder ``photos`` is allowed."""
    if request.param == "file":
        return _files(tmp_path)
    servers: Servers = request.getfixturevalue("servers")
    return _s3(servers, request.getfixturevalue("s3"), request.getfixturevalue("bucket"))


def _files(folder: Path) -> Place:
    def put(path: str, data: bytes) -> str:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        return f"file://{folder}/{path}"

    return Place(ImageReader(Objects(), readers=4), f"file://{folder}/photos/", put)


def _s3(servers: Servers, s3: "S3Client", bucket: str) -> Place:
    assert servers.s3_secret_access_key is not None
    assert servers.s3_access_key_id is not None

    def put(path: str, data: bytes) -> str:
        s3.put_object(Bucket=bucket, Key=path, Body=data)
        return f"s3://{bucket}/{path}"

    objects = Objects(
        endpoint_url=servers.s3_endpoint_url,
        access_key_id=SecretStr(servers.s3_access_key_id),
        secret_access_key=SecretStr(servers.s3_secret_access_key),
        connections=4,
    )
    return Place(ImageReader(objects, readers=4), f"s3://{bucket}/photos/", put)


def test_every_record_is_decoded_or_rejected(place: Place) -> None:
    """Good and bad ones in one frame: none is dropped, all keep their keys and order."""
    locations: dict[int, str | None] = {
        row: place.put(f"photos/{row}", picture() if row % 3 else b"no picture") for row in range(12)
    }
    locations |= {50: place.prefix + "absent.jpg", 51: None}

    found = place.read(locations)

    good = [row for row in range(12) if row % 3]
    assert list(found.images) == list(found.digests) == good
    assert [each.key for each in found.rejections] == [0, 3, 6, 9, 50, 51]
    assert all(found.images[row].mode == "RGB" and found.images[row].size == (40, 30) for row in good)


def test_no_locations_give_nothing(place: Place) -> None:
    """Callers need no special case for an empty frame."""
    assert place.read({}) == LoadedImages({}, {}, [])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_each_accepted_format_is_decoded(place: Place, kind: str) -> None:
    """The colour arrives, whatever the format and whatever the file's name says."""
    found = place.read({1: place.put("photos/picture.xyz", picture(kind))})

    assert found.images[1].getpixel((20, 15)) == pytest.approx((200, 30, 60), abs=6)


def test_the_digest_is_of_the_stored_bytes(place: Place) -> None:
    """64 bits, signed, the same for the same bytes under other names."""
    data = [picture(colour=colour) for colour in ("red", "green", "red")]

    found = place.read({row: place.put(f"photos/{row}", each) for row, each in enumerate(data)})

    assert found.digests[0] == found.digests[2] != found.digests[1]
    assert found.digests[0] == int.from_bytes(blake2b(data[0], digest_size=8).digest(), "big", signed=True)
    assert all(-(2**63) <= digest < 2**63 for digest in found.digests.values())


def test_pictures_stand_upright(place: Place) -> None:
    """A camera's note of how it was held is followed."""
    image = place.read({1: place.put("photos/turned.jpg", upside_down())}).images[1]

    assert image.getpixel((20, 5))[0] > 200  # red is above


@pytest.mark.parametrize(("kind", "smaller"), [("JPEG", (100, 150)), ("PNG", (80, 120))])
def test_a_picture_much_larger_than_the_models_input_is_read_smaller(
    place: Place, kind: str, smaller: tuple[int, int]
) -> None:
    """Its shorter side stays at least twice as long as the model's input. Smaller pictures are read in full."""
    sizes = {1: (800, 1200), 2: (90, 70), 3: (5000, 81)}
    locations = {key: place.put(f"photos/{key}", picture(kind, size=size)) for key, size in sizes.items()}

    found = place.read(locations, side=40)

    assert {key: image.size for key, image in found.images.items()} == {**sizes, 1: smaller}
    assert found.images[1].getpixel((40, 60)) == pytest.approx((200, 30, 60), abs=6)
    assert {key: image.size for key, image in place.read(locations, side=40, reduce=False).images.items()} == sizes


def test_limits_are_of_the_picture_as_it_is_stored(place: Place) -> None:
    """Reading less of it does not make it smaller."""
    location = place.put("photos/large.jpg", picture(size=(800, 1200)))

    (rejection,) = place.read({1: location}, side=40, max_pixels=900_000).rejections

    assert rejection.reason == "too-many-pixels"


@pytest.mark.parametrize("location", [None, float("nan"), pd.NA, "", "  "])
def test_no_location(place: Place, location: Any) -> None:
    """A record without a location says so."""
    assert place.reason(location) == "missing-location"


@pytest.mark.parametrize(
    "location",
    ["https://example.org/a.jpg", "photos/a.jpg", "/etc/hostname", "ftp://x/a", 17, b"s3://x", "s3://", "file://h/a"],
)
def test_other_kinds_of_locations_are_refused(place: Place, location: Any) -> None:
    """Locations come from data: nothing but the allowed prefixes is ever opened."""
    assert place.reason(location) == "location-not-allowed"


@pytest.mark.parametrize("path", ["private/a.jpg", "photos-old/a.jpg", "photos", "a.jpg"])
def test_what_lies_beside_the_prefix_is_refused(place: Place, path: str) -> None:
    """Even where a location begins like the prefix."""
    location = place.put(path, picture())

    assert place.reason(location) == "location-not-allowed"


@pytest.mark.parametrize(
    "path", ["../private/a.jpg", "x/../../private/a.jpg", "..\\private\\a.jpg", "./a.jpg", "a\n.jpg"]
)
def test_paths_that_climb_are_refused(place: Place, path: str) -> None:
    """Dots, backslashes and control characters are not interpreted but refused."""
    place.put("private/a.jpg", picture())

    assert place.reason(place.prefix + path) == "location-not-allowed"


def test_what_is_wrong_with_an_object_is_the_reason(place: Place) -> None:
    """Each kind of unusable object has a reason of its own."""
    jpeg = picture(size=(300, 200))

    assert place.reason(place.prefix + "absent.jpg") == "missing-object"
    assert place.reason(place.prefix) == "location-not-allowed"
    assert place.reason(place.put("photos/empty.jpg", b"")) == "empty-object"
    assert place.reason(place.put("photos/large.jpg", jpeg), max_bytes=len(jpeg) - 1) == "too-large"
    assert place.reason(place.put("photos/page.jpg", b"<html>Not found</html>")) == "format-not-allowed"
    assert place.reason(place.put("photos/cut.jpg", jpeg[: len(jpeg) // 2])) == "corrupt-image"
    assert place.reason(place.put("photos/begin.jpg", jpeg[:4])) == "corrupt-image"
    assert place.reason(place.put("photos/a.png", picture("PNG")), formats=("JPEG",)) == "format-not-allowed"
    assert place.reason(place.put("photos/bomb.png", claims_pixels(60_000, 60_000))) == "too-many-pixels"
    assert place.reason(place.put("photos/wide.jpg", jpeg), max_pixels=59_999) == "too-many-pixels"


def test_limits_include_their_own_value(place: Place) -> None:
    """Exactly as many bytes and pixels as allowed are accepted."""
    jpeg = picture(size=(300, 200))

    found = place.read({1: place.put("photos/fits.jpg", jpeg)}, max_bytes=len(jpeg), max_pixels=60_000)

    assert not found.rejections


def test_unusual_names_are_read(place: Place) -> None:
    """Spaces, plus signs and punctuation that URLs give a meaning to."""
    location = place.put("photos/a b+c~(1)=,;@&'.jpg", picture())

    assert not place.read({1: location}).rejections

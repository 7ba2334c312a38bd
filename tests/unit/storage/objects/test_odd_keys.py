"""Keys with characters that URLs, signatures and file systems give a meaning to, on the embedded store."""

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from app.localstack import Servers
from batchord.core.errors import DataError
from batchord.storage.objects import Objects, parse_s3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Each stands for one way in which a key can be taken for another.
_ODD = [
    "a%20b.jpg",
    "a%2520b.jpg",
    "a%2Fb.jpg",
    "100%.jpg",
    "a+b.jpg",
    "a b.jpg",
    " a ",
    "a?b=c&d.jpg",
    "a#b.jpg",
    "a;b:c@d=e,f.jpg",
    "~'\"()[]{}<>|^`!*$.jpg",
    "größe.jpg",
    "gro\u0308\u00dfe.jpg",
    "写真\u30001.jpg",
    "👩\u200d🔬.jpg",
    "...jpg",
    "..a/b..jpg",
    "k" * 246,
    "/".join(["k" * 200] * 5),
]


@pytest.fixture
def objects(servers: Servers) -> Objects:
    """A reader of the embedded store."""
    assert servers.s3_access_key_id is not None
    assert servers.s3_secret_access_key is not None
    return Objects(
        endpoint_url=servers.s3_endpoint_url,
        access_key_id=SecretStr(servers.s3_access_key_id),
        secret_access_key=SecretStr(servers.s3_secret_access_key),
        attempts=1,
    )


@pytest.mark.parametrize("key", _ODD)
def test_an_odd_key_is_one_key(objects: Objects, bucket: str, key: str) -> None:
    """It is written, listed, read by its location and deleted under exactly this name."""
    objects.put(bucket, f"p/{key}", key.encode())

    assert [each.key for each in objects.list(bucket, f"p/{key[:2]}")] == [f"p/{key}"]
    assert objects.get(*parse_s3(f"s3://{bucket}/p/{key}"), max_bytes=2000) == key.encode()
    objects.delete(bucket, [f"p/{key}"])
    assert objects.list(bucket, "") == []


def test_keys_that_decode_to_each_other_are_different(objects: Objects, bucket: str) -> None:
    """Each is read as itself."""
    keys = ["a b", "a+b", "a%20b", "a%2520b", "a%2Bb"]
    for key in keys:
        objects.put(bucket, key, key.encode())

    assert [objects.get(bucket, key, max_bytes=99).decode() for key in keys] == keys


@pytest.mark.parametrize("key", ["p/" + "k" * 1000 + ".png", "k" * 247, "k" * 256 + "/a"])
def test_a_key_that_no_file_can_have_is_refused(objects: Objects, s3: "S3Client", bucket: str, key: str) -> None:
    """The embedded store keeps objects as files and cannot have such an object. That is not an outage."""
    with pytest.raises(DataError, match="KeyTooLongError") as caught:
        objects.get(bucket, key, max_bytes=99)

    assert caught.value.reason == "unreadable-object"
    with pytest.raises(s3.exceptions.ClientError, match="KeyTooLongError"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")


@pytest.mark.parametrize("key", ["a//b.jpg", "/a.jpg", "a/", ".nanio/a"])
def test_a_key_that_is_no_path_is_refused(objects: Objects, bucket: str, key: str) -> None:
    """The embedded store has no object of such a name, and reads no other in its place."""
    objects.put(bucket, "a/b.jpg", b"another")
    objects.put(bucket, "a.jpg", b"another")

    with pytest.raises(DataError) as caught:
        objects.get(bucket, key, max_bytes=99)
    assert caught.value.reason == "unreadable-object"


@pytest.mark.parametrize("key", ["a/../b", "./b", "a/..", "a\nb", "a\x00b", "a\x7fb", "a\u2028b", "a\\b", "a\ud800b"])
def test_a_location_that_is_no_key_is_refused(key: str) -> None:
    """HTTP clients resolve dots; control characters and halves of characters travel in no request as they are."""
    with pytest.raises(ValueError, match="holds"):
        parse_s3(f"s3://bucket/{key}")

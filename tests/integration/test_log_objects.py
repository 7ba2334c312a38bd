"""Logs over S3: what is particular to objects."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from app.localstack import Servers
from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.run.logs import AttemptName, LogLine, LogPart
from batchord.storage.logs import LogObjects
from batchord.storage.objects import Objects
from tests.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RUN = "01970000-0000-7000-8000-000000000001"
PART = LogPart(
    attempt=AttemptName(RUN, "my-step", None, 2),
    part=4,
    worker="host:1",
    lines=(LogLine(time=datetime(2026, 3, 1, 12, tzinfo=UTC), level="INFO", source="a", message="b\udc80"),),
)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def objects(servers: Servers) -> Objects:
    """The store of this test run."""
    assert servers.s3_access_key_id is not None
    assert servers.s3_secret_access_key is not None
    return Objects(
        endpoint_url=servers.s3_endpoint_url,
        access_key_id=SecretStr(servers.s3_access_key_id),
        secret_access_key=SecretStr(servers.s3_secret_access_key),
    )


def keys_in(s3: "S3Client", bucket: str) -> list[str]:
    """Every key of the bucket."""
    return [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.mark.parametrize("prefix", ["", "/", "logs", "a/b/"])
def test_a_prefix_is_a_folder(objects: Objects, s3: "S3Client", bucket: str, prefix: str) -> None:
    """With or without a slash at its end, or none at all."""
    store = LogObjects(objects, f"s3://{bucket}{prefix and '/'}{prefix}")

    store.append(PART)

    folder = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    assert keys_in(s3, bucket) == [f"{folder}{RUN}/20260301T120000.000000Z-my-step-step-2-000004.json"]
    assert list(store.read(RUN)) == [PART]
    assert store.delete_before(FAR) == 1


def test_what_is_not_a_log_stays(objects: Objects, s3: "S3Client", bucket: str) -> None:
    """Only objects whose names have our form are read or deleted."""
    store = LogObjects(objects, f"s3://{bucket}/logs")
    others = ["logs/notes.txt", "logs/01970000-old/notes.txt", "logs2/x.json", f"other/{RUN}/x-a-1-1-0.json"]
    for key in others:
        s3.put_object(Bucket=bucket, Key=key, Body=b"mine")
    s3.put_object(Bucket=bucket, Key=f"logs/{RUN}/readme.txt", Body=b"mine")
    store.append(PART)

    assert list(store.read(RUN)) == [PART]
    store.delete_before(FAR)
    assert keys_in(s3, bucket) == sorted(others)


def test_a_part_that_goes_while_it_is_read_is_left_out(objects: Objects, bucket: str, s3: "S3Client") -> None:
    """Its time was over."""
    store = LogObjects(objects, f"s3://{bucket}/logs")
    for number in range(20):
        line = LogLine(time=PART.lines[0].time + timedelta(seconds=number), level="INFO", source="a", message="b")
        store.append(LogPart(attempt=PART.attempt, part=number, worker="host:1", lines=(line,)))

    parts = store.read(RUN)
    first = next(parts)
    for key in keys_in(s3, bucket):
        s3.delete_object(Bucket=bucket, Key=key)
    wait_until(lambda: not keys_in(s3, bucket), description="the objects are gone")

    assert first.part == 0
    assert len(list(parts)) < 19


def test_a_bucket_that_is_not_there_is_for_the_operator(objects: Objects) -> None:
    """No record is to blame, and no retry helps."""
    store = LogObjects(objects, "s3://no-such-bucket-of-ours/logs")

    with pytest.raises(ConfigurationError, match="s3:PutObject"):
        store.append(PART)


def test_a_store_that_is_away_is_a_passing_failure() -> None:
    """Lines are kept for the next try."""
    away = Objects(
        endpoint_url="http://127.0.0.1:1", access_key_id=SecretStr("k"), secret_access_key=SecretStr("s"), attempts=1
    )
    store = LogObjects(away, "s3://b/logs")

    for call in (lambda: store.append(PART), lambda: list(store.read(RUN)), lambda: store.delete_before(FAR)):
        with pytest.raises(TransientError):
            call()


@pytest.mark.parametrize("location", ["/tmp/logs", "s3://", "s3:///logs", "s3://b/../c"])  # noqa: S108 -- no file
def test_a_location_must_be_of_s3(objects: Objects, location: str) -> None:
    """The message says what is wrong with it."""
    with pytest.raises(ConfigurationError, match=r"Logs cannot be stored"):
        LogObjects(objects, location)

"""The demo's tables and buckets are filled once, and grow by fresh records."""

import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from PIL import Image

from demo import load

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def connection(empty_database_url: str) -> Iterator[psycopg.Connection]:
    """A database with the demo's tables."""
    with psycopg.connect(empty_database_url, autocommit=True) as opened:
        load.create_tables(opened)
        yield opened


def rows(connection: psycopg.Connection, table: str, column: str) -> list[str]:
    """A column in the order of arrival."""
    return [row[0] for row in connection.execute(f"SELECT {column} FROM {table} ORDER BY id")]  # noqa: S608


def test_tables_are_created_once(connection: psycopg.Connection) -> None:
    """A second call changes nothing."""
    load.insert_reviews(connection, rows=3)

    load.create_tables(connection)

    assert len(rows(connection, "demo_reviews", "body")) == 3


def test_filling_again_adds_only_what_is_missing(connection: psycopg.Connection) -> None:
    """The demo can be run again over its own data."""
    assert load.insert_reviews(connection) == load.REVIEWS
    assert load.insert_reviews(connection) == 0
    assert load.insert_news(connection, rows=10) == 10
    assert load.insert_news(connection, rows=12) == 2


def test_fresh_records_go_on_where_the_table_ends(connection: psycopg.Connection) -> None:
    """Fresh reviews are others than those there."""
    load.insert_reviews(connection, rows=20)

    assert load.insert_reviews(connection, rows=20, fresh=5) == 5

    assert len(set(rows(connection, "demo_reviews", "body"))) == 25


def test_after_the_last_text_the_first_comes_again(connection: psycopg.Connection) -> None:
    """A demo that is left running never runs out of records."""
    assert load.insert_news(connection, rows=2_189, fresh=3) == 2_192

    bodies = rows(connection, "demo_news", "body")
    assert bodies[-3:] == bodies[:3]


def test_photos_are_uploaded_and_two_cannot_be_read(
    connection: psycopg.Connection, s3: "S3Client", bucket: str
) -> None:
    """One is cut in half, one is missing, all others decode."""
    assert load.insert_photos(connection, s3, rows=262, bucket=bucket) == 262

    locations = rows(connection, "demo_photos", "location")
    stored = set(_modified(s3, bucket))
    assert {location.removeprefix(f"s3://{bucket}/") for location in locations} - stored == {load.MISSING}
    with (
        Image.open(io.BytesIO(s3.get_object(Bucket=bucket, Key=load.CORRUPT)["Body"].read())) as picture,
        pytest.raises(OSError, match="truncated"),
    ):
        picture.load()


def test_fresh_photos_are_uploaded_before_they_are_inserted(
    connection: psycopg.Connection, s3: "S3Client", bucket: str
) -> None:
    """No row points to an object that is still on its way."""
    load.insert_photos(connection, s3, rows=4, bucket=bucket)

    assert load.insert_photos(connection, s3, rows=4, fresh=2, bucket=bucket) == 2

    for location in rows(connection, "demo_photos", "location"):
        assert s3.head_object(Bucket=bucket, Key=location.rsplit("/", 1)[1])["ContentLength"] > 1000


def test_a_model_that_is_there_is_not_written_again(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    """Writing it again might give it a new version; a changed file is written."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")

    location = load.upload_model(s3, tmp_path, bucket=bucket, prefix="m/1")
    before = _modified(s3, bucket)
    (tmp_path / "config.json").write_text('{"new": 1}')
    load.upload_model(s3, tmp_path, bucket=bucket, prefix="m/1")

    assert location == f"s3://{bucket}/m/1/"
    after = _modified(s3, bucket)
    assert after["m/1/model.safetensors"] == before["m/1/model.safetensors"]
    assert s3.get_object(Bucket=bucket, Key="m/1/config.json")["Body"].read() == b'{"new": 1}'


def _modified(s3: "S3Client", bucket: str) -> dict[str, datetime]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {item["Key"]: item["LastModified"] for page in pages for item in page["Contents"]}

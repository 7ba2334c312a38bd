"""Loads the demo's records and its image model for the demo's pipelines.

Each table is filled from a sequence that is the same each time. So filling it again adds only the missing records, and
fresh records continue the sequence.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from psycopg import Connection, sql

from demo import texts
from demo.photos import photo, photo_name

if TYPE_CHECKING:
    import pandas as pd
    from mypy_boto3_s3 import S3Client

#: Records of the first load.
REVIEWS, NEWS, PHOTOS = 5_400, 1_200, 400
PHOTO_BUCKET, MODEL_BUCKET = "batchord-photos", "batchord-models"
#: Two records of the first load that no model can predict: half a JPEG, and an object that does not exist.
CORRUPT, MISSING = "corrupt.jpg", "missing.jpg"
#: Which photos, by number, these two replace.
_UNUSABLE = {120: CORRUPT, 260: MISSING}

_UPLOADS = 8
#: A table with one column besides key and arrival, and an index in the order in which records are discovered.
_TABLE = """
CREATE TABLE IF NOT EXISTS {table} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    {column} text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS {index} ON {table} (created_at, id)
"""
_COLUMNS = {"demo_reviews": "body", "demo_news": "body", "demo_photos": "location"}


def create_tables(connection: Connection) -> None:
    """Creates ``demo_reviews``, ``demo_news`` and ``demo_photos`` if they do not exist."""
    with connection.transaction():
        for table, column in _COLUMNS.items():
            connection.execute(
                sql.SQL(_TABLE).format(
                    table=sql.Identifier(table),
                    column=sql.Identifier(column),
                    index=sql.Identifier(f"{table}_arrival"),
                )
            )


def insert_reviews(connection: Connection, *, rows: int = REVIEWS, fresh: int = 0) -> int:
    """Fills ``demo_reviews`` up to ``rows`` and then adds ``fresh`` more. Returns how many were added.

    It takes only reviews that no model was trained on. After all 6,466, it begins again.
    """
    return _fill(connection, "demo_reviews", _unseen(texts.reviews()), rows=rows, fresh=fresh)


def insert_news(connection: Connection, *, rows: int = NEWS, fresh: int = 0) -> int:
    """Like :func:`insert_reviews`, with 2,189 Reuters stories for ``demo_news``."""
    return _fill(connection, "demo_news", _unseen(texts.news()), rows=rows, fresh=fresh)


def insert_photos(
    connection: Connection, s3: "S3Client", *, rows: int = PHOTOS, fresh: int = 0, bucket: str = PHOTO_BUCKET
) -> int:
    """Uploads photos and fills ``demo_photos`` with their locations, like :func:`insert_reviews`.

    Two of the first 400 photos cannot be predicted: one is cut in half, and one is never uploaded.
    """
    present = _count(connection, "demo_photos")
    rows = max(rows, present)
    locations = upload_photos(s3, count=rows + fresh, bucket=bucket)
    return _fill(connection, "demo_photos", locations, rows=rows, fresh=fresh)


def upload_photos(s3: "S3Client", *, count: int = PHOTOS, bucket: str = PHOTO_BUCKET) -> list[str]:
    """Uploads the missing ones of the first ``count`` photos. Returns the locations of all, in order."""
    _ensure_bucket(s3, bucket)
    names = [_UNUSABLE.get(number) or photo_name(number) for number in range(count)]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    uploaded = {item["Key"] for page in pages for item in page.get("Contents", [])}

    def upload(number: int) -> None:
        data = photo(number)
        if names[number] == CORRUPT:
            data = data[: len(data) // 2]
        s3.put_object(Bucket=bucket, Key=names[number], Body=data, ContentType="image/jpeg")

    missing = [number for number, name in enumerate(names) if name not in uploaded and name != MISSING]
    with ThreadPoolExecutor(_UPLOADS) as pool:
        list(pool.map(upload, missing))
    return [f"s3://{bucket}/{name}" for name in names]


def upload_model(s3: "S3Client", folder: Path, *, bucket: str = MODEL_BUCKET, prefix: str) -> str:
    """Uploads the files of a model that are missing or differ. Returns the location for a pipeline.

    It does not write equal files again: that might give the model a new version.
    """
    _ensure_bucket(s3, bucket)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        key = f"{prefix.strip('/')}/{file.relative_to(folder).as_posix()}"
        body = file.read_bytes()
        digest = hashlib.sha256(body).hexdigest()
        if _digest_of(s3, bucket, key) != digest:
            s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata={"sha256": digest})
    return f"s3://{bucket}/{prefix.strip('/')}/"


def _unseen(frame: "pd.DataFrame") -> list[str]:
    return list(frame.loc[frame["split"] == "test", "body"])


def _fill(connection: Connection, table: str, values: list[str], *, rows: int, fresh: int) -> int:
    target, column = sql.Identifier(table), sql.Identifier(_COLUMNS[table])
    with connection.transaction(), connection.cursor() as cursor:
        # Two demos must not fill the table at the same time. Readers, such as a run, continue.
        cursor.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(target))
        present = _count(connection, table)
        added = max(0, rows - present) + fresh
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(target, column)) as copy:
            for value in islice(cycle(values), present, present + added):
                copy.write_row((value,))
    return added


def _count(connection: Connection, table: str) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert row is not None  # noqa: S101 -- count(*) always returns a row
    number: int = row[0]
    return number


def _ensure_bucket(s3: "S3Client", bucket: str) -> None:
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.NOT_FOUND:
            raise
        s3.create_bucket(Bucket=bucket)


def _digest_of(s3: "S3Client", bucket: str, key: str) -> str | None:
    try:
        return s3.head_object(Bucket=bucket, Key=key)["Metadata"].get("sha256")
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.NOT_FOUND:
            raise
        return None

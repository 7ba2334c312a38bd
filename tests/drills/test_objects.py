"""Drills of the object store: overloaded, silent, and with objects that are missing or come in part."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.contracts.small_images import picture
from tests.drills.drill import Drill
from tests.drills.faulty_store import Fault, FaultyStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: How long the store is overloaded.
_BUSY_SECONDS = 10.0 if "BATCHORD_DRILLS_FULL" in os.environ else 4.0
#: How long a shard that is handed back waits, and a message before it is sent again, where nobody sets it.
_AS_IN_EARNEST = {"BATCHORD_RETRY_BASE_SECONDS": "2", "BATCHORD_RESEND_AFTER_SECONDS": "60"}
_PICTURES = 60
#: The body of a note is the location of a picture; its score is how red that is.
_REDNESS = """
    from batchord import FunctionModel, Images, Pipeline, Predict, SqlSource

    def redness(frame):
        return frame["body"].map(lambda image: float(image.getpixel((0, 0))[0]))

    notes = Pipeline(
        "notes",
        steps=[Predict(
            "predict",
            source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
            model=FunctionModel(redness, images=Images(column="body", allow=["s3://{bucket}/"])),
            batch_rows=10,
            shard_rows=30,
        )],
    )
"""


@pytest.fixture
def store(drill: Drill, s3: "S3Client", bucket: str) -> Iterator[FaultyStore]:
    """Sixty notes that are pictures, the first as red as 1, the second as 2; their store has no fault yet."""
    cluster = drill.cluster
    for red in range(1, _PICTURES + 1):
        s3.put_object(Bucket=bucket, Key=f"{red}.png", Body=picture("PNG", size=(8, 8), colour=(red, 0, 0)))
    cluster.sql("TRUNCATE notes RESTART IDENTITY")
    cluster.sql(
        "INSERT INTO notes (body) SELECT format('s3://%%s/%%s.png', %s::text, n) FROM generate_series(1, %s) AS n",
        bucket,
        _PICTURES,
    )
    cluster.pipeline("notes", _REDNESS.format(bucket=bucket))
    with FaultyStore(cluster.environment["BATCHORD_S3_ENDPOINT_URL"]) as faulty:
        cluster.environment["BATCHORD_S3_ENDPOINT_URL"] = faulty.endpoint_url
        yield faulty


def test_the_store_is_overloaded(drill: Drill, store: FaultyStore) -> None:
    """Every GET is answered with 503 for some seconds; the settings of a real installation bear it."""
    drill.cluster.start("control", "worker", "beat", **_AS_IN_EARNEST)
    store.busy_seconds = _BUSY_SECONDS
    drill.injected()
    drill.run()
    drill.settle(timeout=60)
    assert store.met[Fault.BUSY] > 20, "more than the first GETs of the first batches"
    drill.check()
    _assert_predicted(drill)


@pytest.mark.usefixtures("store")
def test_an_object_is_missing(drill: Drill, s3: "S3Client", bucket: str) -> None:
    """It is rejected with that reason, and costs nothing else."""
    s3.delete_object(Bucket=bucket, Key="20.png")
    drill.injected()
    drill.cluster.start("control", "worker", "beat")
    drill.run()
    drill.settle()
    drill.check()
    assert drill.cluster.sql("SELECT record_key, reason FROM batchord.rejections") == [("20", "missing-object")]
    _assert_predicted(drill, rejected=1)


def test_an_object_never_comes(drill: Drill, store: FaultyStore) -> None:
    """One GET has no answer, ever, and one gets stuck in mid-object: both are given up and asked for again."""
    store.once = {"20.png": Fault.SILENT, "50.png": Fault.STUCK}
    drill.injected()
    drill.cluster.start("control", "worker", "beat")
    drill.run()
    drill.settle(timeout=60)
    assert store.met == {Fault.SILENT: 1, Fault.STUCK: 1}
    drill.check()
    _assert_predicted(drill)


def test_an_object_comes_in_part(drill: Drill, store: FaultyStore) -> None:
    """It is read again, and no half picture is predicted."""
    store.once = {"20.png": Fault.CUT_SHORT}
    drill.injected()
    drill.cluster.start("control", "worker", "beat")
    drill.run()
    drill.settle()
    assert store.met == {Fault.CUT_SHORT: 1}
    drill.check()
    _assert_predicted(drill)


def _assert_predicted(drill: Drill, *, rejected: int = 0) -> None:
    assert drill.cluster.sql(
        "SELECT count(*), count(*) FILTER (WHERE score = record_key::int) FROM batchord.predictions"
    ) == [(_PICTURES - rejected, _PICTURES - rejected)]

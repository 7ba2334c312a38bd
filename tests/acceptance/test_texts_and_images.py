"""Texts, images and tables through models of every kind, by beat's ticks: each record once, good or bad."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from batchord.models.skops_import import import_skops
from tests.acceptance.cluster import Cluster
from tests.acceptance.outcomes import assert_pinned, assert_predicted, found, look_at, read_text, reasons, summary
from tests.contracts import small_models
from tests.contracts.small_images import picture
from tests.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.torch

_TEXTS_AND_IMAGES = """
    from batchord import Images, Pipeline, SqlSource, TransformersImage, TransformersText, every

    moods = Pipeline(
        "moods",
        schedule=every(seconds=1),
        source=SqlSource("SELECT id, body, created_at FROM texts", key="id", arrival="created_at"),
        model=TransformersText("s3://{bucket}/models/mood/3/", text="body"),
    )
    photos = Pipeline(
        "photos",
        schedule=every(seconds=1),
        source=SqlSource("SELECT id, location, created_at FROM images", key="id", arrival="created_at"),
        model=TransformersImage(
            "s3://{bucket}/models/animals/1/", images=Images(column="location", allow=["s3://{bucket}/photos/"])
        ),
    )
"""
_ESTIMATORS = """
    from batchord import Pipeline, SklearnModel, SqlSource, every

    words = Pipeline(
        "words",
        schedule=every(seconds=1),
        source=SqlSource("SELECT id, body, created_at FROM texts", key="id", arrival="created_at"),
        model=SklearnModel({words!r}, text="body"),
    )
    prices = Pipeline(
        "prices",
        schedule=every(seconds=1),
        source=SqlSource("SELECT id, rooms, area, created_at FROM houses", key="id", arrival="created_at"),
        model=SklearnModel({prices!r}, trusted=["sklearn.tree._tree.Tree"]),
    )
"""
_ODDITIES = """
    from datetime import timedelta
    import pandas as pd
    from batchord import FunctionModel, Pipeline, SqlSource, every

    def odd(frame):
        return pd.DataFrame(
            {{"label": frame["body"] + "\\ud800", "echo": frame["body"], "nul\\0": "\\udfff"}}, index=frame.index
        )

    oddities = Pipeline(
        "oddities",
        schedule=every(seconds=1),
        source=SqlSource(
            "SELECT id, body FROM texts", key="id", settle=timedelta(seconds=1), url={url!r}
        ),
        model=FunctionModel(odd, text="body"),
    )
"""
_TABLE = (
    "CREATE TABLE {} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {}, created_at timestamptz DEFAULT now())"
)
#: Longer than the 32 tokens that the small model reads.
_LONG = "good film " * 40
#: A first load takes as long as two workers on a busy machine need to import torch.
_FIRST_SECONDS = 120


@pytest.fixture
def put(s3: "S3Client", bucket: str) -> Callable[[str, bytes], str]:
    """Stores an object and returns its location."""

    def store(key: str, data: bytes) -> str:
        s3.put_object(Bucket=bucket, Key=key, Body=data)
        return f"s3://{bucket}/{key}"

    return store


def test_texts_and_images_from_s3(
    cluster: Cluster, bucket: str, put: Callable[[str, bytes], str], tmp_path: Path
) -> None:
    """The first load is accounted for, each rejection with its reason. Then ten and ten more are discovered.

    Over 30 seconds: each of two worker processes loads torch and two models.
    """
    mood = small_models.save_text_classifier(tmp_path / "mood")
    animals = small_models.save_image_classifier(tmp_path / "animals")
    _upload(mood, "models/mood/3", put)
    _upload(animals, "models/animals/1", put)
    cluster.sql(_TABLE.format("texts", "body text"))
    cluster.sql(_TABLE.format("images", "location text"))
    bodies = [f"the film was {word} number {number}" for number, word in enumerate(small_models.WORDS * 4)]
    _insert(cluster, "texts", "body", [*bodies, _LONG, "", " \n", None])
    pictures = {number: picture(colour=(number * 6, 255 - number * 6, 90)) for number in range(1, 37)}
    good = [put(f"photos/{number}.jpg", data) for number, data in pictures.items()]
    corrupt = put("photos/corrupt.jpg", picture()[:300])
    empty = put("photos/empty.jpg", b"")
    outside = put("private/37.jpg", picture())
    _insert(cluster, "images", "location", [*good, corrupt, f"s3://{bucket}/photos/missing.jpg", outside, empty])
    cluster.pipeline("models", _TEXTS_AND_IMAGES.format(bucket=bucket))

    cluster.start("control", "worker", "beat")
    cluster.wait_for_records("texts", "moods", timeout=_FIRST_SECONDS)
    cluster.wait_for_records("images", "photos", timeout=_FIRST_SECONDS)
    _insert(cluster, "texts", "body", bodies[:10])
    _insert(cluster, "images", "location", [put(f"photos/fresh-{n}.png", picture("PNG")) for n in range(10)])
    cluster.wait_for_records("texts", "moods", timeout=60)
    cluster.wait_for_records("images", "photos", timeout=60)

    assert found(cluster, "moods") == [("succeeded", 60, 57, 3), ("succeeded", 10, 10, 0)]
    assert found(cluster, "photos") == [("succeeded", 40, 36, 4), ("succeeded", 10, 10, 0)]
    assert reasons(cluster, "moods") == {"58": "empty-text", "59": "empty-text", "60": "missing-text"}
    assert reasons(cluster, "photos") == {
        "37": "corrupt-image",
        "38": "missing-object",
        "39": "location-not-allowed",
        "40": "empty-object",
    }
    assert summary(cluster, "moods")["truncated"] == 1
    assert summary(cluster, "moods")["rejections"] == {"empty-text": 2, "missing-text": 1}
    assert_pinned(cluster, "moods", "mood-3@")
    assert_pinned(cluster, "photos", "animals-1@")
    texts = cluster.sql("SELECT id::text, body FROM texts WHERE id <= 57")
    assert_predicted(cluster, "moods", {key: read_text(mood, body) for key, body in texts})
    assert_predicted(cluster, "photos", {str(number): look_at(animals, data) for number, data in pictures.items()})
    cluster.assert_exactly_once("texts", "moods")
    cluster.assert_exactly_once("images", "photos")


def test_estimators_over_texts_and_tables(cluster: Cluster, tmp_path: Path) -> None:
    """A scikit-learn classifier labels texts, a regressor scores rows, as they do without Batchord."""
    words = small_models.save_sklearn_classifier(tmp_path / "words.skops")
    prices = small_models.save_sklearn_regressor(tmp_path / "prices.skops")
    cluster.sql(_TABLE.format("texts", "body text"))
    cluster.sql(_TABLE.format("houses", "rooms int, area double precision"))
    bodies = [f"{word} film {number}" for number, word in enumerate(small_models.WORDS * 4)]
    _insert(cluster, "texts", "body", [*bodies, "", None])
    cluster.sql("INSERT INTO houses (rooms, area) SELECT n, n * 1.5 FROM generate_series(1, 50) AS n")
    cluster.pipeline("estimators", _ESTIMATORS.format(words=str(words), prices=str(prices)))

    cluster.start("control", "worker", "beat")
    cluster.wait_for_records("texts", "words", timeout=_FIRST_SECONDS)
    cluster.wait_for_records("houses", "prices", timeout=_FIRST_SECONDS)
    _insert(cluster, "texts", "body", ["a great book"] * 10)
    cluster.sql("INSERT INTO houses (rooms, area) SELECT n, 2 FROM generate_series(1, 10) AS n")
    cluster.wait_for_records("texts", "words", timeout=60)
    cluster.wait_for_records("houses", "prices", timeout=60)

    assert found(cluster, "words") == [("succeeded", 58, 56, 2), ("succeeded", 10, 10, 0)]
    assert found(cluster, "prices") == [("succeeded", 50, 50, 0), ("succeeded", 10, 10, 0)]
    assert reasons(cluster, "words") == {"57": "empty-text", "58": "missing-text"}
    assert_pinned(cluster, "words", "words@")
    assert_pinned(cluster, "prices", "prices@")
    labels = import_skops().load(words).predict(pd.Series(bodies))
    written = cluster.sql("SELECT record_key, label FROM batchord.predictions WHERE pipeline = 'words'")
    assert {key: label for key, label in written if int(key) <= len(bodies)} == {
        str(number): str(label) for number, label in enumerate(labels, start=1)
    }
    houses = pd.DataFrame(cluster.sql("SELECT id, rooms, area FROM houses"), columns=["id", "rooms", "area"])
    forest = import_skops().load(prices, trusted=["sklearn.tree._tree.Tree"])
    scores = forest.predict(houses[["rooms", "area"]].astype(float))
    expected = {str(key): (None, float(score)) for key, score in zip(houses["id"], scores, strict=True)}
    assert_predicted(cluster, "prices", expected)
    assert set(summary(cluster, "prices")["score_quantiles"]) >= {"min", "max"}
    cluster.assert_exactly_once("texts", "words")
    cluster.assert_exactly_once("houses", "prices")


def test_characters_that_postgresql_cannot_hold(cluster: Cluster, tmp_path: Path) -> None:
    """NUL in a text from SQLite, and NUL and lone surrogates in a model's labels, are written in a visible form."""
    file = tmp_path / "records.sqlite"
    with sqlite3.connect(file) as source:
        source.execute("CREATE TABLE texts (id INTEGER PRIMARY KEY, body TEXT)")
        source.executemany("INSERT INTO texts (body) VALUES (?)", [("plain",), ("with \0 inside",), ("\0",), (None,)])
    source.close()
    cluster.pipeline("oddities", _ODDITIES.format(url=f"sqlite:///{file}"))

    cluster.start("control", "worker", "beat")
    wait_until(lambda: found(cluster, "oddities"), description="the records are predicted", timeout=_FIRST_SECONDS)

    assert found(cluster, "oddities") == [("succeeded", 4, 3, 1)]
    assert reasons(cluster, "oddities") == {"4": "missing-text"}
    assert cluster.sql("SELECT record_key, label, output FROM batchord.predictions ORDER BY record_key") == [
        ("1", "plain\\ud800", {"echo": "plain", "nul\\u0000": "\\udfff"}),
        ("2", "with \\u0000 inside\\ud800", {"echo": "with \\u0000 inside", "nul\\u0000": "\\udfff"}),
        ("3", "\\u0000\\ud800", {"echo": "\\u0000", "nul\\u0000": "\\udfff"}),
    ]


def _upload(folder: Path, prefix: str, put: Callable[[str, bytes], str]) -> None:
    for file in sorted(folder.iterdir()):
        put(f"{prefix}/{file.name}", file.read_bytes())


def _insert(cluster: Cluster, table: str, column: str, values: Sequence[str | None]) -> None:
    """All rows in one transaction, so that one run finds them all; ids rise in the order of ``values``."""
    cluster.sql(f"INSERT INTO {table} ({column}) SELECT unnest(%s::text[])", list(values))

"""Runs over pictures of which one never comes: it alone is rejected, and only when the store delivers others."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from app.localstack import Servers
from batchord import FunctionModel, Images
from batchord.core.run.runs import Run, RunState
from batchord.flow.local import run_local
from batchord.sources.sql import SqlSource
from batchord.storage.images import ImageReader
from batchord.storage.objects import Objects
from tests.contracts.small_images import picture
from tests.drills.faulty_store import Fault, FaultyStore
from tests.integration.flow_parts import ITEMS, Bench

if TYPE_CHECKING:
    import pandas as pd
    from mypy_boto3_s3 import S3Client

_PICTURES = 8


def redness(frame: "pd.DataFrame") -> "pd.Series[Any]":
    """How red a picture is."""
    return frame["body"].map(lambda image: float(image.getpixel((0, 0))[0]))


class Pictures:
    """Records that are pictures, the first as red as 1, in a store that can be made to fail."""

    def __init__(self, bench: Bench, store: FaultyStore, servers: Servers) -> None:
        assert servers.s3_access_key_id is not None
        assert servers.s3_secret_access_key is not None
        self.bench = bench
        self.store = store
        self._objects = Objects(
            endpoint_url=store.endpoint_url,
            access_key_id=SecretStr(servers.s3_access_key_id),
            secret_access_key=SecretStr(servers.s3_secret_access_key),
            read_seconds=1,
            attempts=1,
        )

    def run(self) -> Run:
        """A run whose worker has delivered nothing before."""
        parts = replace(self.bench.parts(max_attempts=3), images=ImageReader(self._objects, readers=4))
        return run_local(parts, pipeline=ITEMS)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A table without records yet."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


@pytest.fixture
def pictures(bench: Bench, servers: Servers, s3: "S3Client", bucket: str) -> Iterator[Pictures]:
    """Eight records with one batch for two of them; the store has no fault yet."""
    for red in range(1, _PICTURES + 1):
        s3.put_object(Bucket=bucket, Key=f"{red}.png", Body=picture("PNG", size=(8, 8), colour=(red, 0, 0)))
    bench.sql("INSERT INTO records (body) SELECT format('s3://%%s/%%s.png', %s::text, n) FROM "
              "generate_series(1, %s) AS n", bucket, _PICTURES)  # fmt: skip
    model = FunctionModel(redness, images=Images(column="body", allow=[f"s3://{bucket}/"]))
    bench.declare(model, source=SqlSource("SELECT id, body FROM records", key="id"), batch_rows=2)
    assert servers.s3_endpoint_url is not None
    with FaultyStore(servers.s3_endpoint_url) as store:
        yield Pictures(bench, store, servers)


@pytest.mark.parametrize("fault", [Fault.BROKEN, Fault.UNSIGNED, Fault.BUSY, Fault.CUT_SHORT, Fault.SILENT])
def test_an_object_that_never_comes_is_rejected_alone(pictures: Pictures, fault: Fault) -> None:
    """After its attempts; its neighbours were predicted at the first, and the run goes on to its end."""
    pictures.store.always = {"3.png": fault}

    run = pictures.run()

    expected = {str(red): float(red) for red in range(1, _PICTURES + 1)} | {"3": "unreadable-object"}
    assert pictures.bench.outcomes() == expected
    assert run.state is RunState.SUCCEEDED
    assert pictures.store.met[fault] >= 3, "asked for in each attempt"
    (detail,) = pictures.bench.column("SELECT detail FROM batchord.rejections")
    assert "3.png" in detail
    pictures.bench.assert_exactly_once()


def test_an_object_that_comes_late_is_predicted(pictures: Pictures) -> None:
    """The earlier failures do not reject it."""
    pictures.store.once = {"3.png": Fault.BROKEN}

    assert pictures.run().state is RunState.SUCCEEDED
    assert not pictures.bench.column("SELECT record_key FROM batchord.rejections")
    pictures.bench.assert_exactly_once()


def test_a_record_that_is_left_alone_is_compared_with_what_is_stored(pictures: Pictures) -> None:
    """A new record in a later run whose object never comes is alone in its shard."""
    pictures.bench.sql("DELETE FROM records WHERE id <> 3")
    pictures.store.always = {"3.png": Fault.BROKEN}

    assert pictures.run().state is RunState.SUCCEEDED
    assert pictures.bench.outcomes() == {"3": "unreadable-object"}


def test_a_store_that_is_away_rejects_nothing(pictures: Pictures) -> None:
    """The shard fails after its attempts, and the next run predicts all."""
    names = {f"{red}.png" for red in range(1, _PICTURES + 1)}
    pictures.store.always = dict.fromkeys(names, Fault.BROKEN)

    assert pictures.run().state is RunState.FAILED
    assert pictures.bench.outcomes() == {}
    pictures.store.always = {}
    assert pictures.run().state is RunState.SUCCEEDED
    assert set(pictures.bench.outcomes().values()) == {float(red) for red in range(1, _PICTURES + 1)}


def test_a_store_that_fails_for_many_rejects_nothing(pictures: Pictures) -> None:
    """Six of eight objects: it is not they that are wrong."""
    pictures.store.always = dict.fromkeys((f"{red}.png" for red in range(3, 9)), Fault.BROKEN)

    assert pictures.run().state in (RunState.PARTIAL, RunState.FAILED)
    assert not pictures.bench.column("SELECT record_key FROM batchord.rejections")
    assert pictures.bench.outcomes() == {"1": 1.0, "2": 2.0}


def test_a_store_that_goes_away_before_the_last_attempt_rejects_nothing(pictures: Pictures) -> None:
    """The neighbours that were delivered earlier do not speak for it any more."""
    store = pictures.store

    class Leaving(dict[str, Fault]):
        """Two attempts ask for the broken object twice each; from then on nothing is delivered."""

        def get(self, name: str, default: Fault | None = None) -> Fault | None:  # type: ignore[override]
            away = store.met[Fault.BROKEN] >= 4
            return Fault.BROKEN if name.endswith(".png") and (away or name == "3.png") else default

    store.always = Leaving()

    assert pictures.run().state in (RunState.PARTIAL, RunState.FAILED)
    assert len(pictures.bench.outcomes()) == _PICTURES - 1, "the neighbours were predicted before"
    assert not pictures.bench.column("SELECT record_key FROM batchord.rejections")

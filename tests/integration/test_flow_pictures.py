"""Pictures come to a model in small batches, by number and by bytes, and each comes once."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchord import FunctionModel, Images
from batchord.core.run.runs import RunState
from batchord.storage.images import ImageReader
from batchord.storage.objects import Objects
from tests.contracts.small_images import picture
from tests.integration.flow_parts import Bench

_SIDE = 100
_BYTES = _SIDE * _SIDE * 4


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A hundred records, each a picture; two of them are none."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(100)
        bench.sql("UPDATE records SET body = %s || id || '.png'", f"file://{tmp_path}/")
        for number in range(1, 101):
            stored = b"none" if number in (50, 99) else picture("PNG", size=(_SIDE, _SIDE))
            (tmp_path / f"{number}.png").write_bytes(stored)
        yield bench


def declare(bench: Bench, folder: Path, sizes: list[int], **step: Any) -> None:
    """A function that notes how many pictures it is given at once."""

    def widths(frame: pd.DataFrame) -> "pd.Series[Any]":
        sizes.append(len(frame))
        return frame["body"].map(lambda image: image.width)

    bench.declare(FunctionModel(widths, images=Images(column="body", allow=(f"file://{folder}/",))), **step)


def test_a_functions_batch_of_pictures_is_small(bench: Bench, tmp_path: Path) -> None:
    """A batch of texts has 5,000 records."""
    sizes: list[int] = []
    declare(bench, tmp_path, sizes, shard_rows=100)
    run = bench.run(parallelism=1)
    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 98, 2)
    assert max(sizes) <= 64
    bench.assert_exactly_once()


def test_large_pictures_come_in_smaller_batches(bench: Bench, tmp_path: Path) -> None:
    """The bytes limit a batch, even if the author asks for more. The rest of the frame is the next batch."""
    sizes: list[int] = []
    declare(bench, tmp_path, sizes, shard_rows=100, batch_rows=80)
    bench._parts = replace(bench._parts, images=ImageReader(Objects(), memory=8 * 10 * _BYTES))  # noqa: SLF001 -- as built
    run = bench.run(parallelism=1)
    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 98, 2)
    assert max(sizes) == 10
    bench.assert_exactly_once()

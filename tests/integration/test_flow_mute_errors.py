"""Errors of authors' classes whose texts cannot be read end a record or a step like other errors."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchord import FunctionModel, Python
from batchord.core.run.runs import RunState
from tests.integration.flow_parts import ITEMS, STEP, Bench, length
from tests.integration.graph_parts import declare_graph, error, ran

if TYPE_CHECKING:
    import pandas as pd


class Mute(Exception):
    """Raises when it is asked for its text."""

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Twelve records."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(12)
        yield bench


def _mute_at_seven(frame: "pd.DataFrame") -> "pd.Series[Any]":
    if (frame["body"].str.len() == 7).any():
        raise Mute
    return length(frame)


def test_a_record_for_which_the_model_raises_such_an_error_is_rejected(bench: Bench) -> None:
    """Its neighbours are predicted."""
    bench.declare(FunctionModel(_mute_at_seven, version="1"))

    run = bench.run()

    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 11, 1)
    assert "Mute (no text: its str() raises" in bench.value("SELECT detail FROM batchord.rejections")


def test_a_step_that_raises_such_an_error_has_failed(bench: Bench) -> None:
    """The step's error names it."""

    def broken() -> None:
        raise Mute

    declare_graph(bench, Python(STEP, broken))

    run = ran(bench)

    assert (run.pipeline, run.state) == (ITEMS, RunState.FAILED)
    assert error(bench, run.id, STEP).startswith("Mute (no text: its str() raises")

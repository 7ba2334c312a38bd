"""`batchord.try_` predicts a few records of a pipeline that a notebook declares."""

import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import batchord
from batchord import FunctionModel, Images, Pipeline, SqlSource
from batchord.core.errors import ConfigurationError
from batchord.core.process.loading import loading
from tests.contracts.small_images import picture
from tests.integration.flow_parts import ITEMS, Bench, length

SOURCE = SqlSource("SELECT id, body, length(body) AS label FROM records", key="id")


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Twelve records; the parts are this test's."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(12)

        def parts_of(declared: Pipeline) -> Any:
            bench.catalog.pipelines = {declared.name: declared}
            return bench.parts()

        # A database is configured: the notebook need not start one.
        monkeypatch.setenv("BATCHORD_DATABASE_URL", database_url)
        monkeypatch.setattr("batchord.wiring.parts", bench.parts)
        monkeypatch.setattr("batchord.wiring.parts_of", parts_of)
        yield bench


def failing(frame: Any) -> Any:
    """Raises for the record with twelve letters."""
    if (frame["body"].str.len() == 12).any():
        raise ValueError("twelve is <b>too much</b>")
    return length(frame)


def broken(_: Any) -> Any:
    """Raises for every record."""
    raise KeyError("price")


def test_a_frame_has_inputs_and_results(bench: Bench) -> None:
    """Indexed by key, the newest first; a column of the query with the name of a result is renamed."""
    frame = batchord.try_(Pipeline("nb", source=SOURCE, model=length), limit=2)

    assert isinstance(frame, pd.DataFrame)
    assert (frame.index.name, frame.index.tolist()) == ("id", [12, 11])
    assert list(frame.columns) == ["body", "input_label", "label", "score", "output", "rejection"]
    assert (frame["score"].tolist(), frame["input_label"].tolist()) == ([12.0, 11.0], [12, 11])
    assert frame.attrs["columns"] == {"body": "str", "label": "int64"} | frame.attrs["columns"]
    assert bench.value("SELECT count(*) FROM batchord.pipelines") == 0


def test_a_name_a_key_and_a_condition_choose(bench: Bench) -> None:
    """As on the command line; a key has any type."""
    bench.declare()

    assert batchord.try_(ITEMS, key=5)["score"].tolist() == [5.0]
    assert batchord.try_(ITEMS, where="id < 3").index.tolist() == [2, 1]
    with pytest.raises(ConfigurationError, match="no record with the key '99'"):
        batchord.try_(ITEMS, key="99")


def test_a_record_for_which_the_model_raises_is_rejected(bench: Bench) -> None:
    """A notebook shows the traceback below the table; nothing in it is read as HTML."""
    frame = batchord.try_(Pipeline("nb", source=SOURCE, model=FunctionModel(failing, version="1")), limit=2)

    assert bench.url
    assert frame["rejection"].tolist() == ["model-error: ValueError: twelve is <b>too much</b>", None]
    assert "raise ValueError" in frame.attrs["traceback"]
    shown = frame._repr_html_()  # type: ignore[operator]  # IPython calls it
    assert "&lt;b&gt;too much" in shown
    assert "<b>too" not in shown
    assert "<pre>Traceback" in shown


def test_the_authors_own_error_is_raised_if_all_records_fail(bench: Bench) -> None:
    """Its traceback goes from the cell right into the author's code, and a note names the record."""
    with pytest.raises(KeyError) as raised:
        batchord.try_(Pipeline("nb", source=SOURCE, model=FunctionModel(broken, version="1")))

    assert bench.url
    names = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert names[1:] == ["try_", "broken"]
    (note,) = raised.value.__notes__
    assert "for record 3. Its frame has: body (str), label" in note


def test_a_pipeline_with_problems_is_refused(bench: Bench) -> None:
    """All of them, as for a file."""
    with pytest.raises(ConfigurationError, match="'NB' cannot be a pipeline"):
        batchord.try_(Pipeline("NB", source=SOURCE, model=length))
    assert bench.url


def test_pictures_are_shown_small(bench: Bench, tmp_path: Path) -> None:
    """The frame holds the pictures that the model gets."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(picture("PNG", size=(400, 200)))
    bench.sql("UPDATE records SET body = %s WHERE id = 12", f"file://{folder}/a.png")
    model = FunctionModel(lambda frame: frame["body"].map(lambda image: image.width), version="1",
                          images=Images(column="body", allow=(f"file://{folder}/",)))  # fmt: skip

    frame = batchord.try_(
        Pipeline("nb", source=replace(SOURCE, sql="SELECT id, body FROM records"), model=model), limit=2
    )

    assert (frame.loc[12, "body"].size, frame.loc[12, "score"]) == ((400, 200), 400.0)
    assert str(frame.loc[11, "rejection"]).startswith("location-not-allowed")
    assert frame._repr_html_().count('<img src="data:image/png;base64,') == 1  # type: ignore[operator]
    assert 'alt="400 x 200"' in frame.head(1)._repr_html_()  # type: ignore[operator]  # a part of it shows them, too


def test_a_pipeline_file_must_not_call_it_while_it_is_loaded(bench: Bench) -> None:
    """It would load the file again, without end."""
    with loading("reviews.py"), pytest.raises(ConfigurationError, match=r"does not start: reviews\.py calls it"):
        batchord.try_(ITEMS)
    assert bench.url

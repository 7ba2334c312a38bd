"""Batches of texts of like length: nothing lost, none too large, all about as costly."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchord.flow.predict import batches
from batchord.flow.predict.batches import batches_of_like_length
from batchord.flow.predict.isolate import predict_isolating
from batchord.flow.predict.prepare import Prepared
from tests.unit.flow.predict.frames import FunctionOfFrames

_TEXTS = st.lists(st.one_of(st.none(), st.integers(0, 400).map(lambda length: "x" * length)), max_size=300)


def _frames(texts: list[str | None], rows: int) -> list[pd.DataFrame]:
    found = []
    for start in range(0, len(texts), rows):
        part = texts[start : start + rows]
        index = pd.Index(list(range(start, start + len(part))), dtype=object, name="id")
        found.append(pd.DataFrame({"body": pd.Series(part, index=index, dtype=object)}))
    return found


@given(_TEXTS, st.integers(1, 20))
def test_each_record_is_in_one_batch_as_it_was(texts: list[str | None], rows: int) -> None:
    """This includes values that are not text: they are rejected later, by name."""
    found = list(batches_of_like_length(_frames(texts, rows), "body", rows=rows, costly=200))

    values = {key: value for frame in found for key, value in frame["body"].items()}
    assert sorted(values) == list(range(len(texts)))
    assert sum(map(len, found)) == len(texts)
    assert [values[key] for key in range(len(texts))] == texts
    assert all(1 <= len(frame) <= rows for frame in found)


@pytest.mark.parametrize(
    "keys",
    [
        [1, 2, 3],
        [1.5, 2.5, 3.5],
        [1, 2.5, 2**60 + 1],
        ["a", "b", "c"],
        [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)],
    ],
)
def test_keys_stay_what_the_driver_gave(keys: list[Any]) -> None:
    """A frame of other numbers would have other keys: 1 beside 2.5 would be 1.0, and no record has that key."""
    frames = [
        pd.DataFrame({"body": ["x" * length]}, index=pd.Index([key], dtype=object, name="id"))
        for length, key in enumerate(keys, start=1)
    ]

    def refusing(frame: pd.DataFrame) -> pd.DataFrame:
        assert "xx" not in frame["body"].tolist()
        return frame.rename(columns={"body": "label"})

    (found,) = batches_of_like_length(frames, "body", rows=3, costly=10)
    _, _, rejections = predict_isolating(FunctionOfFrames(refusing), Prepared(frame=found, digests=[0] * 3))

    assert (found.index.dtype, found.index.name) == (object, "id")
    assert [(type(key), key) for key in found.index] == [(type(key), key) for key in reversed(keys)]
    assert [(type(rejection.key), rejection.key) for rejection in rejections] == [(type(keys[1]), keys[1])]


def test_batches_cost_about_the_same_and_the_longest_come_first() -> None:
    """A text of 4,000 characters costs as much as one of 1,000 if the model reads no more than 1,000."""
    texts = ["x" * length for length in [10] * 60 + [100] * 60 + [1000, 4000] * 4]

    found = list(batches_of_like_length(_frames(texts, 16), "body", rows=16, costly=1000))

    characters = [sum(min(len(text), 1000) for text in frame["body"]) for frame in found]
    longest = [max(map(len, frame["body"])) for frame in found]
    assert max(characters) <= 2 * sum(characters) / len(characters)
    assert longest == sorted(longest, reverse=True)
    assert next(len(frame) for frame in found) < 5


def test_long_texts_are_not_all_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sorted together is bounded by characters, too."""
    monkeypatch.setattr(batches, "_MOST_CHARACTERS", 1000)
    read = 0

    def frames() -> Iterator[pd.DataFrame]:
        nonlocal read
        for frame in _frames(["x" * 400] * 40, 4):
            read += len(frame)
            yield frame

    first = next(batches_of_like_length(frames(), "body", rows=4, costly=400))

    assert len(first) > 0
    assert read == 4

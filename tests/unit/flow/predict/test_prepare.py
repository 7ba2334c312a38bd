"""Valid records go on, others are rejected with a reason, and every input has its digest."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchord import FunctionModel, Images, SklearnModel
from batchord.core.errors import ConfigurationError
from batchord.flow.predict.prepare import digest_rows, prepare
from batchord.sources.frames import frame_of as source_frame
from batchord.sources.series import ColumnType
from tests.unit.flow.predict.frames import ImagesInMemory, frame_of, no_images


def _same(frame: Any) -> Any:
    return frame


_TEXT = FunctionModel(_same, text="body")
_LENIENT = FunctionModel(_same, text="body", empty="predict")
_PHOTOS = FunctionModel(_same, images=Images(column="photo", allow=("s3://photos/",)))


def test_records_with_text_go_on_as_they_are() -> None:
    """The ordinary case: nothing is changed, copied or rejected."""
    frame = frame_of([3, 1, 2], body=["a", " b ", "c"])

    prepared = prepare(frame, _TEXT, no_images(), arrival=None)

    assert prepared.frame is frame
    assert prepared.rejections == []
    assert len(set(prepared.digests)) == 3


@pytest.mark.parametrize(
    ("text", "reason", "said"),
    [
        (None, "missing-text", "column body is NULL"),
        (float("nan"), "missing-text", "column body is NULL"),
        (7, "missing-text", "of type int"),
        (b"x", "missing-text", "of type bytes"),
        (["x"], "missing-text", "of type list"),
        ("", "empty-text", "column body holds no text"),
        (" \t\r\n", "empty-text", "holds no text"),
        ("\u00a0\u2003", "empty-text", "holds no text"),
    ],
)
def test_a_record_without_text_is_rejected_alone(text: Any, reason: str, said: str) -> None:
    """The others keep their order and their digests."""
    whole = prepare(frame_of([3, 2], body=["a", "c"]), _TEXT, no_images(), arrival=None)

    prepared = prepare(frame_of([3, 1, 2], body=["a", text, "c"]), _TEXT, no_images(), arrival=None)

    assert [(each.key, each.reason) for each in prepared.rejections] == [(1, reason)]
    assert said in prepared.rejections[0].detail
    assert prepared.frame.index.tolist() == [3, 2]
    assert prepared.digests == whole.digests


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_is_predicted_where_the_author_says_so(text: str) -> None:
    """A missing one never is."""
    prepared = prepare(frame_of([1, 2], body=[text, None]), _LENIENT, no_images(), arrival=None)

    assert prepared.frame["body"].tolist() == [text]
    assert [(each.key, each.reason) for each in prepared.rejections] == [(2, "missing-text")]


def test_a_batch_without_any_text_is_rejected_whole() -> None:
    """Nothing is left for the model, and nothing is dropped without a word."""
    prepared = prepare(frame_of([1, 2], body=[None, ""]), _TEXT, no_images(), arrival=None)

    assert prepared.frame.empty
    assert prepared.digests == []
    assert [each.key for each in prepared.rejections] == [1, 2]


@pytest.mark.parametrize("model", [_TEXT, _PHOTOS], ids=["text", "images"])
def test_a_column_that_the_source_does_not_give_is_the_authors_to_mend(model: FunctionModel) -> None:
    """The message names the column and those that are there."""
    with pytest.raises(ConfigurationError, match=r"no column '(body|photo)'.*SQL.* It gives subject, words") as raised:
        prepare(frame_of([1], subject=["a"], words=[1]), model, no_images(), arrival=None)

    assert "add it" in str(raised.value)


def test_images_take_the_place_of_their_locations() -> None:
    """A missing one costs its record alone; an image is one object, whatever it contains."""
    frame = frame_of([3, 1, 2], photo=["a", "gone", "ccc"], words=[1, 2, 3])

    prepared = prepare(frame, _PHOTOS, ImagesInMemory(missing=["gone"]), arrival=None)

    assert prepared.frame["photo"].tolist() == [["A"], ["CCC"]]
    assert prepared.frame.index.tolist() == [3, 2]
    assert [(each.key, each.reason) for each in prepared.rejections] == [(1, "missing-object")]
    assert len(prepared.digests) == 2
    assert frame["photo"].tolist() == ["a", "gone", "ccc"]


def test_an_images_digest_follows_its_content_not_its_location() -> None:
    """A moved image is the same input; another image at the same place is not."""
    digests = [
        prepare(frame_of([1], photo=[location]), _PHOTOS, ImagesInMemory(), arrival=None).digests
        for location in ("ab", "cd", "abc")
    ]

    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(("features", "columns"), [(None, ["a"]), (("a", "at"), ["a", "at"])])
def test_an_estimator_that_takes_all_columns_is_not_given_the_arrival(
    features: tuple[str, ...] | None, columns: list[str]
) -> None:
    """The time of writing is not a feature of a record, unless the author declares it as one."""
    frame = frame_of([1], a=[1.5], at=[datetime(2026, 1, 1, tzinfo=UTC)])

    prepared = prepare(frame, SklearnModel("m.skops", features=features), no_images(), arrival="at")

    assert prepared.frame.columns.tolist() == columns


_VALUES: list[tuple[Any, Any]] = [
    (1, 2),
    (1.0, 1.5),
    ("a", "b"),
    (None, "a"),
    (True, False),
    (b"a", b"b"),
    ({"a": [1]}, {"a": [2]}),
    (Decimal("1.0"), Decimal("1.1")),
    (UUID(int=1), UUID(int=2)),
    (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
    ("a\x00", "a"),
    # Of one length, as an array column gives them.
    ([1, 2], [1, 3]),
]


@pytest.mark.parametrize(("value", "changed"), _VALUES, ids=repr)
def test_a_digest_changes_with_the_input_and_only_with_it(value: Any, changed: Any) -> None:
    """Whatever the column holds; JSON, arrays and bytes among them."""
    first, second = digest_rows(frame_of([1, 2], a=[value, changed], b=["x", "x"]), without=None)
    (again,) = digest_rows(frame_of([7], a=[value], b=["x"]), without=None)

    assert first != second
    assert again == first


@given(st.lists(st.tuples(st.text(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=6))
def test_a_digest_does_not_depend_on_the_batch(rows: list[tuple[str, int]]) -> None:
    """A later run compares the digest of one record in other company; it fits a signed 64-bit column."""
    texts, numbers = zip(*rows, strict=True)
    frame = frame_of(range(len(rows)), body=texts).assign(number=np.array(numbers, dtype="int64"))

    together = digest_rows(frame, without=None)
    alone = [digest_rows(frame.iloc[[place]], without=None)[0] for place in range(len(rows))]

    assert together == alone
    assert all(-(2**63) <= digest < 2**63 for digest in together)


@pytest.mark.parametrize(
    ("value", "neighbour"),
    [(1, None), (1.5, None), (True, None), (datetime(2026, 1, 1, tzinfo=UTC), None), ("a", 1), ([1], None), (2**70, 1)],
    ids=repr,
)
def test_a_digest_does_not_depend_on_its_neighbours_type(value: Any, neighbour: Any) -> None:
    """Beside a NULL or a value of another type, a source's column has another type too."""
    together = digest_rows(rows_of((1, value), (2, neighbour)), without=None)

    assert together == [digest_rows(rows_of(row), without=None)[0] for row in ((1, value), (2, neighbour))]


def rows_of(*rows: tuple[int, Any]) -> pd.DataFrame:
    """Records of a key and a value, in the types that a source gives them."""
    return source_frame(rows, {"value": ColumnType()}, "id").frame


def test_a_digest_sees_which_column_a_value_stands_in() -> None:
    """Swapped columns are another input."""
    one, other = digest_rows(frame_of([1, 2], a=["x", "y"], b=["y", "x"]), without=None)

    assert one != other


def test_records_without_columns_have_a_digest_too() -> None:
    """A source of keys alone; the image's own digest is added to it."""
    assert digest_rows(frame_of([1, 2], photo=["a", "b"]), without="photo") == [0, 0]
    assert digest_rows(pd.DataFrame(index=[1, 2]), without=None) == [0, 0]

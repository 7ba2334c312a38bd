"""Values that models return: kept if the ledger can hold them, otherwise refused with a reason."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchord.core.errors import DataError, ModelContractViolation
from batchord.core.reasons import Reason
from batchord.core.run.predictions import Batch
from batchord.core.run.records import Rejection
from batchord.flow.predict.outputs import to_batch

_KEYS = [30, 10, 20]


def _given() -> pd.DataFrame:
    return pd.DataFrame({"body": ["a", "b", "c"]}, index=pd.Index(_KEYS, dtype=object, name="id"))


def _batch(**columns: Any) -> Batch:
    given_frame = _given()
    returned = pd.DataFrame(columns, index=given_frame.index)
    return to_batch(given_frame, returned, [1, 2, 3], [])


def _reasons(batch: Batch) -> dict[Any, str]:
    return {rejection.key: rejection.reason for rejection in batch.rejections}


def test_labels_scores_and_the_rest_go_where_they_belong() -> None:
    """Every other column becomes JSON; keys and digests stay in the order of the records."""
    batch = _batch(label=["good", "bad", "good"], score=[0.9, 0.8, 0.7], words=[1, 2, 3])

    found = batch.predictions
    assert found.keys == _KEYS
    assert found.labels == ["good", "bad", "good"]
    assert found.scores == [0.9, 0.8, 0.7]
    assert found.outputs == [{"words": 1}, {"words": 2}, {"words": 3}]
    assert found.digests == [1, 2, 3]
    assert batch.rejections == []


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (_given().iloc[:2], "2 rows for 3 records: return one row for each record"),
        (pd.concat([_given(), _given()]), "6 rows for 3 records"),
        (_given().sort_index(), "keep the frame's index and its order"),
        (_given().reset_index(drop=True), "keep the frame's index and its order"),
        (_given().rename(index={10: 11}), "keep the frame's index and its order"),
        (pd.concat([_given(), _given()], axis=1), "two columns with the same name"),
        (_given()["body"], "returned a Series: return a DataFrame"),
        (["a", "b", "c"], "returned a list"),
        (np.zeros((3, 2)), "returned a ndarray"),
        (None, "returned a NoneType"),
    ],
)
def test_a_frame_that_breaks_the_contract_is_refused_as_a_whole(returned: Any, said: str) -> None:
    """A prediction must never be written under another record's key."""
    with pytest.raises(ModelContractViolation, match=said):
        to_batch(_given(), returned, [1, 2, 3], [])


NAN = float("nan")
_NANS = [NAN, np.float32("nan"), Decimal("NaN")]


@pytest.mark.parametrize(
    ("label", "score"),
    [("b", float("inf")), ("b", float("-inf")), (None, float("inf")), *[(None, nan) for nan in _NANS]],
)
def test_a_score_that_is_no_number_costs_its_record_alone(label: str | None, score: Any) -> None:
    """The other records of its batch are kept, with their own digests."""
    batch = _batch(label=["a", label, "c"], score=pd.Series([0.5, score, 0.25], dtype=object).to_list())

    assert _reasons(batch) == {10: "not-finite"}
    assert batch.predictions.keys == [30, 20]
    assert batch.predictions.digests == [1, 3]


@pytest.mark.parametrize("missing", [None, *_NANS])
def test_a_score_that_is_missing_beside_a_label_is_missing(missing: Any) -> None:
    """A missing number is NaN to pandas: the label is worth keeping."""
    batch = _batch(label=["a", "b", "c"], score=pd.Series([0.5, missing, 0.25], dtype=object).to_list())

    assert batch.rejections == []
    assert batch.predictions.scores == [0.5, None, 0.25]


@pytest.mark.parametrize("score", [1, True, Decimal("0.5"), np.float32(0.5), np.int64(3), "0.5"])
def test_anything_that_is_a_number_is_a_score(score: Any) -> None:
    """Of whatever library."""
    found = _batch(score=[score] * 3).predictions.scores

    assert found == [float(score)] * 3
    assert all(type(value) is float for value in found)


@pytest.mark.parametrize("score", ["high", [0.5], {"p": 1}, 1 + 2j, b"x"])
def test_a_score_of_another_kind_breaks_the_contract(score: Any) -> None:
    """It would be so for every record: the model is to be mended, not the data."""
    with pytest.raises(ModelContractViolation, match="return a number"):
        _batch(score=[0.1, score, 0.2])


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("good", "good"),
        (3, "3"),
        (np.int64(3), "3"),
        (np.str_("good"), "good"),
        (True, "True"),
        ("", ""),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01 00:00:00+00:00"),
    ],
)
def test_a_label_is_text_in_the_end(label: Any, text: str) -> None:
    """Classes are numbers as often as words."""
    found = _batch(label=pd.Series([label] * 3, dtype=object).to_list()).predictions.labels

    assert found == [text] * 3
    assert all(type(value) is str for value in found)


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT, np.float64("nan")])
def test_a_record_that_got_nothing_at_all_is_rejected(missing: Any) -> None:
    """It has no label, score or other value: it would look predicted and is not."""
    batch = _batch(label=pd.Series(["a", missing, "c"], dtype=object).array, words=[1, None, None])

    assert _reasons(batch) == {10: "no-output"}
    assert batch.predictions.labels == ["a", "c"]


def test_a_model_without_columns_predicts_nothing() -> None:
    """Every record is rejected, with the reason."""
    assert _reasons(_batch()) == dict.fromkeys(_KEYS, "no-output")


@pytest.mark.parametrize("column", ["label", "score", "vector"])
def test_a_models_own_word_on_a_record_costs_that_record_alone(column: str) -> None:
    """In every column: a value that says "no answer" must not be stored as an answer."""
    columns = {"label": ["a", "b", "c"], "score": [0.5, 0.5, 0.5], "vector": [[1.0], [2.0], [3.0]]}
    columns[column][1] = DataError(Reason.NOT_FINITE, "the model's output is nan")  # type: ignore[call-overload]

    batch = _batch(**columns)

    assert _reasons(batch) == {10: "not-finite"}
    assert batch.predictions.labels == ["a", "c"]
    assert batch.predictions.scores == [0.5, 0.5]


@pytest.mark.parametrize(
    "vector",
    [
        [NAN, NAN],
        [0.1, float("inf")],
        np.array([0.1, NAN], dtype="float32"),
        [np.float32("nan")],
        np.array([[0.1, 0.2], [NAN, 0.3]]),
        {"first": (0.1, NAN)},
    ],
)
def test_a_vector_that_is_none_costs_its_record(vector: Any) -> None:
    """Where it is the whole answer: stored with nulls, it would look like one."""
    batch = _batch(embedding=[[0.1, 0.2], vector, [0.3, None]])

    assert _reasons(batch) == {10: "not-finite"}
    assert batch.predictions.outputs == [{"embedding": [0.1, 0.2]}, {"embedding": [0.3, None]}]


def test_a_gap_in_a_list_beside_a_label_is_a_missing_value() -> None:
    """An addition to the answer, not the answer."""
    batch = _batch(label=["a", "b", "c"], weights=[[0.1], [NAN], [0.3]])

    assert batch.rejections == []
    assert batch.predictions.outputs[1] == {"weights": [None]}


def test_bytes_are_no_text() -> None:
    """Nobody knows their encoding: rejected rather than written as b'…'."""
    batch = _batch(label=["a", b"b", "c"], raw=[1, 2, b"x"])

    assert _reasons(batch) == {10: "bytes-output", 20: "bytes-output"}
    assert batch.predictions.keys == [30]
    assert {rejection.detail for rejection in batch.rejections} == {
        "the label is bytes: return text",
        "column raw: bytes cannot be stored as JSON",
    }


def test_earlier_rejections_are_kept() -> None:
    """Those of records that never reached the model."""
    before = Rejection(key=40, reason=Reason.MISSING_TEXT, detail="column body is NULL")

    batch = to_batch(_given(), _given().rename(columns={"body": "label"}), [1, 2, 3], [before])

    assert batch.rejections == [before]
    assert batch.predictions.keys == _KEYS


def test_the_models_frame_stays_as_it_was() -> None:
    """Reading it twice gives the same."""
    given_frame, returned = _given(), _given().assign(score=[1.0, float("nan"), 2.0])
    before = returned.copy(deep=True)

    to_batch(given_frame, returned, [1, 2, 3], [])

    pd.testing.assert_frame_equal(returned, before)


def test_a_value_that_has_no_end_costs_its_record_alone() -> None:
    """A list that holds itself, and a number that Python itself cannot write."""
    endless: list[Any] = []
    endless.append(endless)

    batch = _batch(value=[endless, 10**5000, 1])

    assert _reasons(batch) == {30: "not-json", 10: "not-json"}
    assert batch.predictions.keys == [20]


_CELLS = st.sampled_from([None, "x", 1, 0.5, float("nan"), float("inf"), b"x", "a\x00"])


@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=8))
def test_every_record_is_predicted_or_rejected_and_never_both(rows: list[tuple[Any, Any]]) -> None:
    """Whatever the model returns for it."""
    frame = pd.DataFrame(index=pd.Index([f"k{place}" for place in range(len(rows))], dtype=object))
    label, other = (pd.Series(list(column), index=frame.index, dtype=object) for column in zip(*rows, strict=True))

    batch = to_batch(frame, pd.DataFrame({"label": label, "other": other}), list(range(len(rows))), [])

    keys = batch.predictions.keys + [rejection.key for rejection in batch.rejections]
    assert sorted(map(str, keys)) == list(frame.index)
    columns = _columns(batch)
    assert {len(column) for column in columns} == {len(batch.predictions.keys)}
    assert [f"k{digest}" for digest in batch.predictions.digests] == batch.predictions.keys


def _columns(batch: Batch) -> list[list[Any]]:
    found = batch.predictions
    return [found.keys, found.labels, found.scores, found.outputs, found.digests]

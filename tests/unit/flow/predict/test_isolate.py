"""A record that the model cannot bear costs itself alone; a broken model is said aloud."""

import re
from collections.abc import Callable, Collection
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchord.core.code.traces import trace_of
from batchord.core.errors import ModelContractViolation, ModelError, ModelNotFound, TransientError
from batchord.core.reasons import Reason
from batchord.core.run.records import Rejection
from batchord.flow.predict.isolate import MOST_RECORDS, MOST_SHARE, predict_isolating
from batchord.flow.predict.prepare import Prepared
from tests.unit.flow.predict.frames import FunctionOfFrames, frame_of, prepared_of


def _unless_poisoned(frame: pd.DataFrame) -> pd.DataFrame:
    poisoned = [text for text in frame["body"] if text == "poison"]
    if poisoned:
        raise ValueError(f"cannot bear {poisoned[0]}")
    return frame.assign(label=frame["body"]).drop(columns="body")


def _texts(count: int, poisoned: Collection[int] = ()) -> list[str]:
    return ["poison" if place in poisoned else f"text {place}" for place in range(count)]


def _keys(rejections: list[Rejection]) -> list[Any]:
    return [rejection.key for rejection in rejections]


def test_a_sound_batch_is_one_call() -> None:
    """Isolation costs nothing where nothing goes wrong."""
    model = FunctionOfFrames(_unless_poisoned)

    returned, digests, rejections = predict_isolating(model, prepared_of(_texts(50)))

    assert model.calls == [50]
    assert returned.index.tolist() == list(range(50))
    assert digests == [100 * place for place in range(50)]
    assert rejections == []


@pytest.mark.parametrize("place", [0, 31, 63])
def test_one_bad_record_of_many_costs_itself_alone(place: int) -> None:
    """In a number of calls that grows with the logarithm of the batch."""
    model = FunctionOfFrames(_unless_poisoned)

    returned, digests, rejections = predict_isolating(model, prepared_of(_texts(64, {place})))

    assert _keys(rejections) == [place]
    assert (rejections[0].reason, rejections[0].detail) == ("model-error", "ValueError: cannot bear poison")
    assert returned.index.tolist() == [other for other in range(64) if other != place]
    assert digests == [100 * other for other in returned.index]
    assert len(model.calls) == 1 + 2 * 6


def test_two_bad_records_far_apart_cost_themselves_alone() -> None:
    """Each half finds its own."""
    returned, digests, rejections = predict_isolating(
        FunctionOfFrames(_unless_poisoned), prepared_of(_texts(33, {1, 30}))
    )

    assert _keys(rejections) == [1, 30]
    assert returned["label"].tolist() == [text for text in _texts(33, {1, 30}) if text != "poison"]
    assert digests == [100 * place for place in range(33) if place not in (1, 30)]


@given(
    st.integers(1, 60).flatmap(lambda count: st.tuples(st.just(count), st.sets(st.integers(0, count - 1), max_size=5)))
)
def test_order_and_digests_stay_in_step(case: tuple[int, set[int]]) -> None:
    """Wherever the bad ones stand: every record is predicted or rejected, and each good one keeps its digest."""
    count, poisoned = case
    if count > 1 and len(poisoned) == count:
        return

    returned, digests, rejections = predict_isolating(
        FunctionOfFrames(_unless_poisoned), prepared_of(_texts(count, poisoned))
    )

    assert _keys(rejections) == sorted(poisoned)
    assert returned.index.tolist() == [place for place in range(count) if place not in poisoned]
    assert digests == [100 * place for place in returned.index]


def test_a_single_bad_record_is_rejected() -> None:
    """A shard of one: there is nothing left to halve, and no reason to fail the shard."""
    returned, digests, rejections = predict_isolating(FunctionOfFrames(_unless_poisoned), prepared_of(["poison"]))

    assert (len(returned), digests, _keys(rejections)) == (0, [], [0])


@pytest.mark.parametrize("count", [2, 5, 40])
def test_a_model_that_bears_no_record_is_broken(count: int) -> None:
    """Said aloud, with the model's own words, instead of rejecting all that there is."""
    with pytest.raises(ModelError, match="cannot bear poison") as raised:
        predict_isolating(FunctionOfFrames(_unless_poisoned), prepared_of(["poison"] * count))

    assert isinstance(raised.value.__cause__, ValueError)


def test_more_bad_records_than_a_few_are_the_models_fault() -> None:
    """The limit is a count for small batches and a share for large ones; the search stops there."""
    count = 20
    model = FunctionOfFrames(_unless_poisoned)

    with pytest.raises(ModelError, match="raised for at least") as raised:
        predict_isolating(model, prepared_of(_texts(count, range(1, MOST_RECORDS + 2))))

    assert re.fullmatch(
        rf"The model raised for at least {MOST_RECORDS + 1} of the {count} records of a batch, and no record was "
        r"rejected\. The first is record 1: ValueError: cannot bear poison \(.*test_isolate\.py:\d+\)\. Correct the "
        r"model or its inputs\.",
        str(raised.value),
    )
    assert len(model.calls) < count


def test_a_large_batch_may_reject_a_larger_number() -> None:
    """A tenth of it, and not one more."""
    most = int(200 * MOST_SHARE)
    bad = range(0, 200, 10)

    _, _, rejections = predict_isolating(FunctionOfFrames(_unless_poisoned), prepared_of(_texts(200, bad)))

    assert len(rejections) == len(bad) == most
    with pytest.raises(ModelError):
        predict_isolating(FunctionOfFrames(_unless_poisoned), prepared_of(_texts(200, {*bad, 5})))


@pytest.mark.parametrize(
    "function",
    [lambda frame: frame.iloc[:-1], lambda frame: frame.iloc[::-1], lambda _: [1], lambda frame: frame["body"]],
    ids=["too few", "other order", "a list", "a series"],
)
def test_a_broken_contract_is_not_looked_for_in_the_records(function: Callable[[pd.DataFrame], Any]) -> None:
    """Halving would only repeat it, and a frame of one row may hide it. The error names where predict() is."""
    model = FunctionOfFrames(function)

    with pytest.raises(ModelContractViolation, match=r" See tests/unit/flow/predict/frames\.py:\d+\.$"):
        predict_isolating(model, prepared_of(_texts(8)))

    assert model.calls == [8]


@pytest.mark.parametrize("error", [TransientError("S3 is away"), ModelNotFound("no weights")], ids=repr)
def test_what_says_nothing_about_the_records_is_passed_on(error: Exception) -> None:
    """A server that failed for a moment must not cost records."""

    def fail(_: pd.DataFrame) -> pd.DataFrame:
        raise error

    model = FunctionOfFrames(fail)

    with pytest.raises(type(error)):
        predict_isolating(model, prepared_of(_texts(8)))

    assert model.calls == [8]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_the_end_of_the_process_is_no_records_fault(error: type[BaseException]) -> None:
    """Interrupts pass; memory that ran out is looked for in the records, since halves need less."""

    def fail(frame: pd.DataFrame) -> pd.DataFrame:
        if len(frame) > 4:
            raise error
        return frame.assign(label="x")

    model = FunctionOfFrames(fail)

    if error is MemoryError:
        returned, _, rejections = predict_isolating(model, prepared_of(_texts(8)))
        assert (len(returned), rejections) == (8, [])
    else:
        with pytest.raises(error):
            predict_isolating(model, prepared_of(_texts(8)))


def test_earlier_rejections_are_kept() -> None:
    """Those of records that the model never saw."""
    before = Rejection(key="x", reason=Reason.EMPTY_TEXT, detail="column body holds no text")
    prepared = Prepared(frame=frame_of([0, 1], body=["poison", "b"]), digests=[0, 100], rejections=[before])

    _, _, rejections = predict_isolating(FunctionOfFrames(_unless_poisoned), prepared)

    assert _keys(rejections) == ["x", 0]
    assert prepared.rejections == [before]


def test_a_long_error_is_cut() -> None:
    """A model that prints its whole input must not fill the ledger."""

    def fail(_: pd.DataFrame) -> pd.DataFrame:
        raise ValueError("x" * 10_000)

    _, _, (rejection,) = predict_isolating(FunctionOfFrames(fail), prepared_of(["a"]))

    assert len(rejection.detail) == 500


def test_a_lack_of_memory_for_each_record_alone_is_told_with_its_place() -> None:
    """The traceback is the author's, not that of the search for the record."""

    def hungry(_: pd.DataFrame) -> pd.DataFrame:
        raise MemoryError("no room for 1 TiB")

    with pytest.raises(MemoryError, match="lacked memory, also for one record alone: MemoryError: no room") as raised:
        predict_isolating(FunctionOfFrames(hungry), prepared_of(_texts(8)))

    trace = trace_of(raised.value)
    assert str(trace.error) == "no room for 1 TiB"
    assert f"({trace.file}:{trace.line})" in str(raised.value)
    assert "predict_isolating" not in trace.text

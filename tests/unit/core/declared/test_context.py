"""What a step's function can see of its run, and which values it may return to later steps."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchord.core.declared.context import MOST_OUTPUT_BYTES, RunContext, StepOutput, checked_output
from batchord.core.errors import OutputRefused
from batchord.core.run.runs import StepState


def _output(kind: str = "python", *, state: StepState = StepState.DONE, **output: Any) -> StepOutput:
    return StepOutput(name="before", kind=kind, state=state, output=output)


def _predicted(**summary: Any) -> StepOutput:
    return _output("predict", **summary)


def _run(*outputs: StepOutput) -> RunContext:
    named = {output.name: output for output in outputs}
    return RunContext(id="r1", pipeline="p", step="here", attempt=1, kind="manual", outputs=named)


def test_a_run_is_a_mapping_of_the_steps_before() -> None:
    """Like any other: it has a length, an order, ``in`` and ``get``."""
    run = _run(_output(value=7))

    assert run["before"].value == 7
    assert (list(run), len(run), "before" in run, "later" in run) == (["before"], 1, True, False)
    assert run.get("later") is None


def test_a_step_that_is_not_before_is_answered_with_those_that_are() -> None:
    """A typing error, or a missing after=."""
    with pytest.raises(
        KeyError, match=r"step 'scores' does not come before 'here' in the graph \(after=\); these steps do: before"
    ):
        _run(_output())["scores"]
    with pytest.raises(KeyError, match=r"\(after=\); did you mean 'before'\?"):
        _run(_output())["befroe"]
    with pytest.raises(KeyError, match="these steps do: none"):
        _run()["before"]


@pytest.mark.parametrize("kind", ["python", "sql", "bash", "branch"])
def test_parts_of_a_value_are_asked_for_by_name(kind: str) -> None:
    """Whatever kind of step gave it."""
    output = _output(kind, value={"rows": [1, 2], "row_count": 2})

    assert output["row_count"] == 2
    assert output.value == {"rows": [1, 2], "row_count": 2}


def test_parts_of_a_summary_are_asked_for_by_name() -> None:
    """A Predict step has a summary instead of a value."""
    output = _predicted(predicted=3, labels={"good": 3})

    assert output["labels"] == {"good": 3}
    assert output.value is None


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (_output(value={"a": 1, "b": 2}), "step before (done) has no 'c'; it has: a, b"),
        (_output(value={}), "step before (done) has no 'c'; it has: none"),
        (_output(value=[1]), "step before (done) has no parts with names; its value is [1]"),
        (_output(state=StepState.SKIPPED), "step before (skipped) has no parts with names; its value is None"),
        (_predicted(predicted=1), "step before (done) has no 'c'; it has: predicted"),
    ],
)
def test_a_part_that_is_not_there_is_answered_with_those_that_are(output: StepOutput, said: str) -> None:
    """And with the step's state, which is often the reason."""
    with pytest.raises(KeyError) as raised:
        output["c"]

    assert raised.value.args == (said,)


def test_a_step_that_did_not_run_has_no_value_and_no_counts() -> None:
    """Skipped, or stopped by a failure."""
    output = _output("predict", state=StepState.UPSTREAM_FAILED)

    assert output.value is None
    assert (output.discovered, output.predicted, output.rejected) == (0, 0, 0)
    assert (output.count("good"), output.share("good")) == (0, 0.0)


def test_labels_are_counted_and_shared() -> None:
    """Of this run's predictions; rejections have no label."""
    output = _predicted(discovered=10, predicted=8, rejected=2, labels={"good": 6, "bad": 2})

    assert (output.discovered, output.predicted, output.rejected) == (10, 8, 2)
    assert (output.count("good"), output.count("bad"), output.count("none")) == (6, 2, 0)
    assert (output.share("good"), output.share("bad"), output.share("none")) == (0.75, 0.25, 0.0)


def test_a_label_that_the_summary_leaves_out_is_not_taken_for_none() -> None:
    """It holds the most frequent ones only."""
    output = _predicted(predicted=9, labels={"good": 6}, more_labels=3)

    assert output.count("good") == 6
    for ask in (output.count, output.share):
        with pytest.raises(LookupError, match=r"without 'rare'\. Count this label in batchord\.predictions"):
            ask("rare")


# PostgreSQL keeps no NUL, and UTF-8 no half of a surrogate pair.
_TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_TEXTS, inner, max_size=5),
    max_leaves=20,
)


@given(value=_JSON)
def test_json_is_handed_on_as_it_is(value: Any) -> None:
    """Numbers, texts, lists and dicts of them, None."""
    assert checked_output("s", value) == {"value": value}


def test_what_json_has_another_type_for_is_handed_on_as_that() -> None:
    """As later steps will read it, so that an attempt and its repetition see the same."""
    assert checked_output("s", {"pair": (1, 2), 3: "three", True: "yes"}) == {
        "value": {"pair": [1, 2], "3": "three", "true": "yes"}
    }


def _circle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        b"bytes",
        float("nan"),
        {"deep": [1.0, float("-inf")]},
        {(1, 2): "a pair as a key"},
        _circle(),
    ],
    ids=["object", "set", "bytes", "nan", "deep infinity", "key", "circle"],
)
def test_what_is_no_json_is_refused(value: Any) -> None:
    """The message names the step and what may be returned."""
    with pytest.raises(
        OutputRefused, match=r"The value that step load returned cannot be handed on: .*Return None, or numbers"
    ):
        checked_output("load", value)


@pytest.mark.parametrize("value", ["\0", ["a\0b"], {"a\0": 1}, "\\\0"])
def test_a_nul_character_is_refused(value: Any) -> None:
    """PostgreSQL cannot keep it, wherever it stands."""
    with pytest.raises(OutputRefused, match="step load returned holds a NUL character"):
        checked_output("load", value)


@pytest.mark.parametrize("value", ["\ud800", ["ä\udfff"], {"\udc80": 1}])
def test_half_of_a_surrogate_pair_is_refused(value: Any) -> None:
    """Python reads file names that are not UTF-8 in this way, and PostgreSQL cannot keep them."""
    with pytest.raises(OutputRefused, match=r"step load returned cannot be handed on: .*surrogates"):
        checked_output("load", value)


@pytest.mark.parametrize("text", [r"\u0000", r"\\u0000", r"\ud800", "😀", "ä"])
def test_other_characters_are_handed_on(text: str) -> None:
    """A text about NUL characters is an ordinary text."""
    assert checked_output("load", text) == {"value": text}


@pytest.mark.parametrize("letter", ["x", "ä"])
def test_64_kib_of_json_are_handed_on_and_no_more(letter: str) -> None:
    """Counted as JSON is written; larger things belong into a table."""
    each = len(letter.encode())
    frame = len(json.dumps({"value": ""}))
    most = (MOST_OUTPUT_BYTES - frame) // each

    assert checked_output("load", letter * most) == {"value": letter * most}
    with pytest.raises(
        OutputRefused, match=r"Step load returned 65,\d+ bytes of JSON; a step may hand on at most 65,536"
    ):
        checked_output("load", letter * (most + 1))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.int64(3), "int64 is not JSON serializable: return int(x), float(x) or x.item() of it"),
        ({"share": np.float32(0.5)}, "float32 is not JSON serializable: return int(x), float(x) or x.item() of it"),
        ([np.array([1, 2])], "ndarray is not JSON serializable: return its .tolist()"),
        ([float("nan")], "it holds NaN or infinity; use None instead"),
        (float("inf"), "it holds NaN or infinity"),
    ],
)
def test_numbers_that_are_none_of_jsons_say_what_to_return_instead(value: Any, said: str) -> None:
    """NumPy's look like numbers, and NaN is one to Python."""
    with pytest.raises(OutputRefused) as raised:
        checked_output("load", value)

    assert said in str(raised.value)


def test_a_parameter_that_was_not_given_is_answered_with_those_that_were() -> None:
    """And with how to give it; the rest is an ordinary dict."""
    run = RunContext(id="r1", pipeline="p", step="s", attempt=1, kind="manual", params={"a": 1, "b": [2]})

    with pytest.raises(KeyError) as raised:
        run.params["day"]

    assert raised.value.args == ("the run has no parameter 'day'; its parameters: a, b. Give it with --param day=...",)
    assert run.params.get("day") is None
    assert "day" not in run.params
    assert (run.params["a"], json.loads(json.dumps(dict(run.params)))) == (1, {"a": 1, "b": [2]})
    with pytest.raises(KeyError, match="its parameters: none"):
        _run().params["day"]

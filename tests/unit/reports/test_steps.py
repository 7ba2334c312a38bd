"""A step at one glance."""

from typing import Any

import pytest

from batchord.output.masking import learn
from batchord.reports.steps import StepReport


def step(**values: Any) -> StepReport:
    """A Python step whose turn has come."""
    usual: dict[str, Any] = {
        "name": "join_prices",
        "kind": "python",
        "after": ["read_catalog"],
        "join_rule": "all_done_ok",
        "state": "ready",
        "attempt": 0,
        "queue": "gpu",
        "worker": None,
        "reused": False,
        "started_at": None,
        "planned_at": None,
        "finished_at": None,
        "output": None,
        "error": None,
        "executed": 0,
    }
    return StepReport(**{**usual, **values})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "waits for a worker on queue gpu: celery -A batchord.app worker -Q gpu"),
        ({"attempt": 1}, ""),
        ({"queue": None}, ""),
        ({"kind": "predict"}, ""),
        ({"state": "running"}, ""),
        ({"error": "it broke"}, "it broke"),
        ({"kind": "predict", "output": {"predicted": 1200, "rejected": 1}}, "1,200 predicted, 1 rejected"),
    ],
)
def test_a_note_says_what_people_want_to_know(values: dict[str, Any], expected: str) -> None:
    """Only a step that nobody has taken yet, and that is executed on a queue, waits for a worker."""
    assert step(**values).note == expected


def test_a_value_is_masked_as_a_whole() -> None:
    """Whoever cuts it cuts what is masked: half a secret is not known any more."""
    hidden = "tr0ub4dor-of-the-table"
    learn([hidden])

    value = step(state="done", output={"value": "x" * 100 + hidden}).value

    assert "tr0ub" not in value
    assert value.startswith('"xxx')


def test_a_step_that_hands_nothing_on_has_no_value() -> None:
    """Neither has a Predict step, whose output is its summary."""
    assert step(output={"value": None}).value == ""
    assert step(output=None).value == ""
    assert step(kind="predict", output={"value": 1}).value == ""

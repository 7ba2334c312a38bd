"""The trigger of a run is a name of one or a few words."""

from typing import Any

import pytest

from batchord.core.text.names import is_trigger


@pytest.mark.parametrize(
    "trigger",
    ["call", "cli", "schedule", "after film-reviews", "nightly-import", "ann@host-1", "dag:load/3", "größe 2.1"],
)
def test_words_are_taken(trigger: str) -> None:
    """As people and other systems call themselves."""
    assert is_trigger(trigger)


@pytest.mark.parametrize(
    "trigger",
    [
        "",
        " ",
        "[/oops]",
        "a\nb",
        "a\n",
        "a\x1b[2J",
        "a\u202eb",
        "a\u2028b",
        "a\x85b",
        "<b>",
        ":smile:",
        "x" * 101,
        None,
        7,
        ["a"],
    ],
)
def test_whatever_is_no_name_is_not(trigger: Any) -> None:
    """Nor what a terminal, a page or a log would read as something else."""
    assert not is_trigger(trigger)

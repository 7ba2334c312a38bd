"""The columns of a file of predictions."""

import pytest

from batchord.core.errors import ConfigurationError
from batchord.core.run.exported import COLUMNS, USUAL, check_names, chosen_names


def test_columns_are_chosen_in_their_order() -> None:
    """Without a choice, those that people usually want."""
    assert chosen_names("score, record_key") == ("score", "record_key")
    assert chosen_names(None) == USUAL
    assert set(USUAL) <= set(COLUMNS)
    check_names(chosen_names("items,label"), ["items"])


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("scor", "There is no column 'scor': did you mean 'score'?"),
        ("", "There is no column '': the columns are: pipeline, step, record_key"),
        ("item", "There is no column 'item': did you mean 'items'?"),
        ("score,label,score", "'score' is given twice"),
    ],
)
def test_a_wrong_choice_is_refused(written: str, told: str) -> None:
    """And names what there is."""
    with pytest.raises(ConfigurationError) as raised:
        check_names(chosen_names(written), ["items"])
    assert str(raised.value).startswith(told)

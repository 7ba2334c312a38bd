"""Turns a classifier's numbers into columns: the winning class, its likelihood, or no answer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from batchord.core.errors import ConfigurationError, DataError
from batchord.core.reasons import Reason
from batchord.models.proba import ALL_CLASSES

if TYPE_CHECKING:
    import numpy as np

#: Stands in place of a value if a record's numbers are NaN or infinite. The flow then rejects the record.
NOT_FINITE = DataError(Reason.NOT_FINITE, "the model's output for this record is NaN or infinite")


def likelihoods(
    shares: "np.ndarray[Any, Any]", chosen: Sequence[int], names: Sequence[str], *, proba: str | None, model: str
) -> dict[str, list[Any]]:
    """Column ``score``, and column ``proba`` if all classes are wanted, from ``shares`` of rows x classes.

    ``chosen`` is the place of each row's label in ``names``. -1 stands for a label that is not a class; it has no
    score. Raises ConfigurationError if ``proba`` is not the name of a class.
    """
    import numpy as np

    wanted = None if proba in (None, ALL_CLASSES) else _place_of(str(proba), names, model)
    rows, places = np.arange(len(shares)), np.asarray(chosen, dtype=int)
    scores = np.where(places < 0, np.nan, shares[rows, places]) if wanted is None else shares[:, wanted]
    columns: dict[str, list[Any]] = {"score": scores.astype(float).tolist()}
    if proba == ALL_CLASSES:
        _refuse_doubles(names, model)
        columns["proba"] = [dict(zip(names, row, strict=True)) for row in shares.astype(float).tolist()]
    return columns


def refused(columns: dict[str, list[Any]], numbers: "np.ndarray[Any, Any]") -> dict[str, list[Any]]:
    """The columns, with :data:`NOT_FINITE` in each row where one of ``numbers`` (of rows x any) is not finite.

    Without this, such a row would get the label of the first class, because argmax returns 0 for NaN.
    """
    import numpy as np

    name = next(iter(columns))
    finite = np.isfinite(numbers).all(axis=tuple(range(1, numbers.ndim)))
    for row in np.flatnonzero(~finite).tolist():
        columns[name][row] = NOT_FINITE
    return columns


def _place_of(proba: str, names: Sequence[str], model: str) -> int:
    if list(names).count(proba) != 1:
        raise ConfigurationError(
            f"proba={proba!r}, but {model} knows the classes {', '.join(map(repr, names[:20]))}"
            f"{', …' if len(names) > 20 else ''}: name a class that occurs once, or give "  # noqa: PLR2004
            f"proba={ALL_CLASSES!r}."
        )
    return list(names).index(proba)


def _refuse_doubles(names: Sequence[str], model: str) -> None:
    doubles = sorted({name for name in names if list(names).count(name) > 1}) if len(set(names)) < len(names) else []
    if doubles:
        raise ConfigurationError(
            f"proba={ALL_CLASSES!r} needs a name for each class, but {model} has several classes named {doubles[0]!r}: "
            "correct id2label in its config.json, or leave proba= out."
        )

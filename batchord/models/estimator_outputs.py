"""Turns an estimator's outputs into columns: labels, scores, probabilities, margins."""

import math
from collections.abc import Sequence
from typing import Any

from batchord.core.errors import ConfigurationError
from batchord.models.classes import likelihoods, refused

_VECTOR, _MATRIX = 1, 2
#: Attributes in which a fitted wrapper keeps the estimator whose ``decision_function`` it passes on. The last one
#: counts only for a frozen estimator: in other wrappers it was never fitted.
_WRAPPED = ("best_estimator_", "final_estimator_", "estimator_", "estimator")


def check_proba(estimator: Any, proba: str | None, location: str) -> None:
    """Raises ConfigurationError if ``proba`` asks for probabilities, but the estimator has none."""
    if proba is not None and not hasattr(estimator, "predict_proba"):
        raise ConfigurationError(
            f"proba={proba!r}, but {location} holds a {type(estimator).__name__}, which gives no probabilities: leave "
            "proba= out, or fit it within a CalibratedClassifierCV."
        )


def one_against_rest(estimator: Any) -> None:
    """Makes a support vector machine return one number for each class instead of one for each pair of classes.

    With three classes both have the same shape, so nobody could tell them apart. The predictions stay the same.
    """
    while estimator is not None:
        if getattr(estimator, "decision_function_shape", None) == "ovo":
            estimator.decision_function_shape = "ovr"
        steps = getattr(estimator, "steps", None)
        inner = next((name for name in _WRAPPED if hasattr(estimator, name)), None)
        estimator = steps[-1][1] if steps else getattr(estimator, inner) if inner else None


def output_columns(
    estimator: Any, features: Any, *, regressor: bool, proba: str | None, model: str
) -> dict[str, list[Any]]:
    """The columns for ``features``: see :class:`batchord.models.estimators.LoadedEstimator`.

    Raises ConfigurationError if ``proba`` is not the name of a class.
    """
    predicted = _dense(estimator.predict(features))
    several = predicted.ndim == _MATRIX and predicted.shape[1] > 1
    if regressor:
        return _numbers(predicted) if several else {"score": _converted(float, predicted.reshape(len(predicted)))}
    if several:
        labels = {f"label_{index}": _converted(_label, column) for index, column in enumerate(predicted.T)}
        return labels | _several_likelihoods(estimator, features, predicted, proba=proba, model=model)
    values = predicted.reshape(len(predicted)).tolist()
    columns: dict[str, list[Any]] = {"label": list(map(_label, values))}
    classes = getattr(estimator, "classes_", None)
    if classes is None or getattr(classes, "ndim", None) != _VECTOR:
        return columns
    chosen = _places(classes, values)
    if hasattr(estimator, "predict_proba"):
        shares = _dense(estimator.predict_proba(features))
        return refused(columns | likelihoods(shares, chosen, _names(classes), proba=proba, model=model), shares)
    if hasattr(estimator, "decision_function"):
        return columns | _margins(_dense(estimator.decision_function(features)), chosen, classes=len(classes))
    return columns


def _numbers(predicted: Any) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        f"score_{index}": _converted(float, column) for index, column in enumerate(predicted.T)
    }
    return refused(columns, predicted.astype(float))


def _several_likelihoods(
    estimator: Any, features: Any, predicted: Any, *, proba: str | None, model: str
) -> dict[str, list[Any]]:
    """``score_0``, … or ``proba_0``, …, if ``proba`` asks for them: several labels have no single probability."""
    import numpy as np

    if proba is None:
        return {}
    shares = estimator.predict_proba(features)
    if isinstance(shares, list):  # one matrix for each output
        outputs = [(_dense(matrix), classes) for matrix, classes in zip(shares, estimator.classes_, strict=True)]
    else:  # the probability of each label
        outputs = [(np.column_stack([1 - share, share]), np.array([0, 1])) for share in _dense(shares).T]
    columns: dict[str, list[Any]] = {}
    for index, (matrix, classes) in enumerate(outputs):
        chosen = _places(classes, predicted[:, index].tolist())
        of_output = refused(likelihoods(matrix, chosen, _names(classes), proba=proba, model=model), matrix)
        columns |= {f"{name}_{index}": values for name, values in of_output.items()}
    return columns


def _margins(margins: Any, chosen: Sequence[int], *, classes: int) -> dict[str, list[Any]]:
    """Column ``margin``: the distance of each row's label from the decision boundary."""
    import numpy as np

    places = np.array(chosen)
    if margins.ndim == _VECTOR or margins.shape[1] == 1:
        values = np.where(places == 1, 1, -1) * margins.reshape(len(margins))
    elif margins.shape[1] == classes:
        values = margins[np.arange(len(places)), places]
    else:  # one number for each pair of classes, say: none belongs to the label
        return {}
    return refused({"margin": values.astype(float).tolist()}, margins)


def _label(value: Any) -> str | None:
    """The label as text; None for a missing one, whose text "nan" would look like a label."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return None if missing else str(value)


def _places(classes: Any, values: Sequence[Any]) -> list[int]:
    """The place of each label among the classes; -1 for a label that is not a class."""
    places = {name: place for place, name in enumerate(classes.tolist())}
    return [places.get(value, -1) for value in values]


def _names(classes: Any) -> list[str]:
    return list(map(str, classes.tolist()))


def _converted(convert: Any, values: Any) -> list[Any]:
    return [convert(value) for value in values.tolist()]


def _dense(values: Any) -> Any:
    """``values`` as an array. A classifier of several labels that was fitted on sparse labels returns sparse ones."""
    import numpy as np

    return np.asarray(values.toarray() if hasattr(values, "toarray") else values)

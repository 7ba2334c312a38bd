"""What an estimator's outputs are as columns: labels, scores, probabilities, margins."""

import math
from collections.abc import Sequence
from typing import Any

from batchord.core.errors import ConfigurationError
from batchord.models.classes import likelihoods, refused

_VECTOR, _MATRIX = 1, 2
#: Where a fitted wrapper keeps the estimator whose ``decision_function`` it passes on. The last is a frozen one's;
#: elsewhere it was never fitted, and is not used.
_WRAPPED = ("best_estimator_", "final_estimator_", "estimator_", "estimator")


def check_proba(estimator: Any, proba: str | None, location: str) -> None:
    """Raises ConfigurationError where probabilities are asked for that the estimator does not give."""
    if proba is not None and not hasattr(estimator, "predict_proba"):
        raise ConfigurationError(
            f"proba={proba!r}, but {location} holds a {type(estimator).__name__}, which gives no probabilities: leave "
            "proba= out, or fit it within a CalibratedClassifierCV."
        )


def one_against_rest(estimator: Any) -> None:
    """Has a support vector machine say one number for each class instead of one for each pair of classes.

    Both may be as many, so that nobody can tell them apart by their shape. What it predicts stays the same.
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
    """Columns for ``features``: see :class:`batchord.models.estimators.LoadedEstimator`.

    Raises ConfigurationError when ``proba`` names no class.
    """
    predicted = _dense(estimator.predict(features))
    several = predicted.ndim == _MATRIX and predicted.shape[1] > 1
    if regressor:
        return _numbers(predicted) if several else {"score": _each(float, predicted.reshape(len(predicted)))}
    if several:
        labels = {f"label_{index}": _each(_label, column) for index, column in enumerate(predicted.T)}
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
    columns: dict[str, list[Any]] = {f"score_{index}": _each(float, column) for index, column in enumerate(predicted.T)}
    return refused(columns, predicted.astype(float))


def _several_likelihoods(
    estimator: Any, features: Any, predicted: Any, *, proba: str | None, model: str
) -> dict[str, list[Any]]:
    """``score_0``, … or ``proba_0``, …, where they are asked for: several labels have no one probability."""
    import numpy as np

    if proba is None:
        return {}
    shares = estimator.predict_proba(features)
    if isinstance(shares, list):  # one matrix for each output
        outputs = [(_dense(each), classes) for each, classes in zip(shares, estimator.classes_, strict=True)]
    else:  # the probability of each label
        outputs = [(np.column_stack([1 - share, share]), np.array([0, 1])) for share in _dense(shares).T]
    columns: dict[str, list[Any]] = {}
    for index, (each, classes) in enumerate(outputs):
        chosen = _places(classes, predicted[:, index].tolist())
        of_output = refused(likelihoods(each, chosen, _names(classes), proba=proba, model=model), each)
        columns |= {f"{name}_{index}": values for name, values in of_output.items()}
    return columns


def _margins(margins: Any, chosen: Sequence[int], *, classes: int) -> dict[str, list[Any]]:
    """The distance of each row's label from the border."""
    import numpy as np

    places = np.array(chosen)
    if margins.ndim == _VECTOR or margins.shape[1] == 1:
        values = np.where(places == 1, 1, -1) * margins.reshape(len(margins))
    elif margins.shape[1] == classes:
        values = margins[np.arange(len(places)), places]
    else:  # of pairs of classes, say: no one number is the label's
        return {}
    return refused({"margin": values.astype(float).tolist()}, margins)


def _label(value: Any) -> str | None:
    """As text; None for what is no label, since "nan" would be one."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return None if missing else str(value)


def _places(classes: Any, values: Sequence[Any]) -> list[int]:
    """Where each label stands among the classes; -1 where it does not."""
    places = {each: place for place, each in enumerate(classes.tolist())}
    return [places.get(value, -1) for value in values]


def _names(classes: Any) -> list[str]:
    return list(map(str, classes.tolist()))


def _each(convert: Any, values: Any) -> list[Any]:
    return [convert(value) for value in values.tolist()]


def _dense(values: Any) -> Any:
    """An array; classifiers of many labels that were fitted on sparse ones give sparse ones."""
    import numpy as np

    return np.asarray(values.toarray() if hasattr(values, "toarray") else values)

"""Turns the outputs of a graph into columns: labels, scores, probabilities, or columns of the outputs' names."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from batchord.core.errors import ConfigurationError, ModelContractViolation
from batchord.core.text.counts import counted
from batchord.models.classes import refused
from batchord.models.tabular import class_names, classified, of_two, scores

if TYPE_CHECKING:
    import numpy as np

    from batchord.models.onnx import OnnxModel

_MATRIX = 2
#: The types of an output that names a class.
_LABELS = ("tensor(int64)", "tensor(string)")
_NUMBERS = ("tensor(float)", "tensor(double)", "tensor(float16)")


def answers(declared: "OnnxModel", version: str, outputs: Mapping[Any, Any], *, rows: int) -> dict[str, list[Any]]:
    """The columns for ``rows`` records. ``outputs``: what each output gave.

    - A label and probabilities, as converters of classifiers write them: ``label`` and ``score``.
    - One output of numbers: ``score``, or with ``classes=`` ``label`` and ``score``.
    - Anything else: a column for each output, by its name.

    Raises ConfigurationError if the declaration does not fit the outputs, and ModelContractViolation if an output has
    another number of rows.
    """
    for output, values in outputs.items():
        if len(values) != rows:
            raise ModelContractViolation(
                f"{version}: output {output.name!r} has {counted(len(values), 'row')} for {counted(rows, 'record')}: "
                "it must have one for each."
            )
    kinds = list(outputs)
    if len(kinds) == _MATRIX and kinds[0].type in _LABELS and kinds[1].type not in _LABELS:
        return _classified(declared, version, *outputs.values())
    if len(kinds) == 1 and kinds[0].type in _NUMBERS:
        (values,) = outputs.values()
        return _only_numbers(declared, version, kinds[0].name, values)
    if declared.classes is not None or declared.proba is not None:
        raise ConfigurationError(
            f"classes= and proba= need a graph that gives probabilities, but {declared.location} gives "
            f"{', '.join(f'{kind.name} ({kind.type})' for kind in kinds)}: leave them out."
        )
    columns: dict[str, list[Any]] = {}
    for kind, values in outputs.items():
        columns |= _column(kind.name, values)
    return columns


def _classified(declared: "OnnxModel", version: str, labels: Any, shares: Any) -> dict[str, list[Any]]:
    """What converters write for classifiers. ``shares``: rows x classes, or a dict of classes for each row."""
    import numpy as np

    values = labels.reshape(-1).tolist()
    stored: Sequence[Any] | None = None
    if isinstance(shares, list):
        stored = list(shares[0])
        shares = [[row[name] for name in stored] for row in shares]
    matrix = np.asarray(shares, dtype=float).reshape(len(values), -1)
    if stored is None and labels.dtype.kind in "iu":
        stored = range(matrix.shape[1])
    if stored is None and declared.classes is None:  # a matrix that does not name its columns
        if declared.proba is not None:
            raise ConfigurationError(
                f"proba={declared.proba!r}, but {declared.location} does not name the columns of its probabilities: "
                "give classes=[…] in their order."
            )
        return refused({"label": list(map(str, values)), "score": matrix.max(axis=1).tolist()}, matrix)
    names = class_names(declared, matrix.shape[1], stored)
    places = {value: place for place, value in enumerate(names if stored is None else stored)}
    if unknown := [value for value in values if value not in places]:
        raise ModelContractViolation(f"{version} gives the label {unknown[0]!r}, which is none of its classes.")
    return classified(declared, matrix, names, model=version, chosen=[places[value] for value in values])


def _only_numbers(declared: "OnnxModel", version: str, name: str, values: Any) -> dict[str, list[Any]]:
    import numpy as np

    several = values.ndim > 1 and values.size != len(values)
    if declared.classes is None:
        if declared.proba is not None:
            raise ConfigurationError(f"proba={declared.proba!r} needs classes=[…]: the names of the classes.")
        return _column(name, values) if several else scores(values.reshape(len(values)))
    numbers = np.asarray(values, dtype=float).reshape(len(values), -1)
    names = class_names(declared, max(numbers.shape[1], _MATRIX))
    given = of_two(numbers) if numbers.shape[1] == 1 else numbers
    return classified(declared, _shares(numbers) if declared.logits else given, names, model=version)


def _shares(logits: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """The probabilities for logits of rows x classes, or rows x 1 for the second of two classes."""
    import numpy as np

    if logits.shape[1] == 1:
        logits = np.column_stack([np.zeros(len(logits)), logits])
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: np.ndarray[Any, Any] = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _column(name: str, values: Any) -> dict[str, list[Any]]:
    """An output as a column of its own: values, or lists of values."""
    import numpy as np

    if isinstance(values, list):  # a list or a dict for each record
        return {name: values}
    values = values.reshape(len(values)) if values.size == len(values) else values
    listed = {name: values.tolist()}
    return refused(listed, values.astype(float)) if np.issubdtype(values.dtype, np.floating) else listed

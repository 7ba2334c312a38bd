"""Models in the ONNX format, by ONNX Runtime."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from batchord.core.errors import ConfigurationError
from batchord.core.process.extras import Extra
from batchord.core.text.counts import counted
from batchord.core.text.error_text import clause
from batchord.models.failures import filled_column
from batchord.models.onnx_answers import answers
from batchord.models.tabular import LoadedTabular, TabularModel, numbers

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_TEXT = "tensor(string)"
#: The types of inputs, and numpy's.
_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
    _TEXT: "object",
}
#: Rows, and columns of one input.
_DIMENSIONS = 2


@dataclass(frozen=True)
class OnnxModel(TabularModel):
    """A graph in the ONNX format, over columns of a table or one column with a text.

    ``location`` is an ``.onnx`` file: a path, ``s3://bucket/key.onnx``, or a folder that holds exactly one. The graph
    has either one input for each column, with its name, or one input for all ``features`` in their order, or, with
    ``text=``, one input of texts. Its first dimension, the records, must be free.

    The graphs that skl2onnx and onnxmltools write for classifiers and regressors give label and score. Another graph's
    only output of numbers is the score, or, with ``classes=``, the probabilities of the classes. All other outputs are
    columns of their own names, lists where they have several numbers a record.

    Args:
        location: Where the model is: a path, or ``s3://bucket/prefix``.
        text: Column with the text, for a graph that reads texts.
        empty: What happens to a record whose text is empty or only white space: ``reject``, or ``predict``. A
            missing text is always rejected.
        images: Not for this kind, which reads no pictures.
        features: Columns for a graph with one input of several columns, in the order of its training.
        classes: Names of the classes, in the order of their numbers.
        proba: Which probability a classifier returns as ``score``, as in :class:`.SklearnModel`.
        logits: Whether the only output holds logits: softmax turns them into probabilities, the logistic function a
            single one. Needs ``classes=``.
    """

    extra: ClassVar[Extra | None] = Extra.ONNX
    suffixes: ClassVar[frozenset[str]] = frozenset({".onnx"})
    written_by: ClassVar[str] = "export it with its weights inside the file"

    _: KW_ONLY
    logits: bool = False

    @property
    def reads(self) -> tuple[str, ...] | None:
        """The column of the text, or the features."""
        return (self.text,) if self.text is not None else super().reads

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each."""
        problems = super().problems()
        if self.text is not None and self.features is not None:
            problems.append("give either text= or features=, not both")
        if self.logits and self.classes is None:
            problems.append("logits=True needs classes=[…]: the names of the classes")
        return problems

    def _problems_of_reading(self) -> list[str]:
        return ["images= is given, but an OnnxModel reads no pictures"] if self.images is not None else []

    def load(self, files: Path | None, version: str, *, threads: int, copied: bool) -> "LoadedOnnx":  # noqa: ARG002
        """See the base class."""
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as states

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # its errors are raised as well
        # From bytes: a graph whose weights are in another file has no folder to look for them in.
        graph = self.file_in(files).read_bytes()
        unusable = (states.Fail, states.InvalidGraph, states.InvalidProtobuf, states.NoModel, states.NotImplemented)
        try:
            session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except (*unusable, states.InvalidArgument, states.RuntimeException) as error:
            if "locale" in str(error):
                raise ConfigurationError(
                    f"{self.location} turns texts into small letters by a locale that this machine lacks "
                    f"({clause(error)}): export it with the locale C, or install that locale where the workers run."
                ) from error
            raise self.unreadable(error) from error
        return LoadedOnnx(self, version, session)


class LoadedOnnx(LoadedTabular):
    """Implements :class:`.LoadedModel` for a graph. :mod:`.onnx_answers` says which columns it returns."""

    def __init__(self, declared: OnnxModel, version: str, session: Any) -> None:
        inputs = session.get_inputs()
        _check_inputs(declared, inputs)
        width = inputs[0].shape[-1] if len(inputs[0].shape) == _DIMENSIONS else 1
        if declared.text is not None:
            known: list[str] | None = [declared.text]
            count = 1
        elif len(inputs) > 1 or width == 1:
            known, count = [one.name for one in inputs], len(inputs)
        else:  # of several columns in one input, only the order is known
            known, count = None, width if isinstance(width, int) else len(declared.features or ())
        super().__init__(declared, version, known=known, count=count)
        self._onnx = declared
        self._session = session
        self._inputs = inputs

    def _answers(self, frame: "pd.DataFrame") -> dict[str, list[Any]]:
        outputs = dict(zip(self._session.get_outputs(), self._session.run(None, self._fed(frame)), strict=True))
        return answers(self._onnx, self.version, outputs, rows=len(frame))

    def _no_answers(self) -> dict[str, list[Any]]:
        return {}

    def _fed(self, frame: "pd.DataFrame") -> "dict[str, np.ndarray[Any, Any]]":
        """What the graph's inputs get."""
        import numpy as np

        text = self._onnx.text
        if text is not None:
            texts = filled_column(frame, text, version=self.version, argument=f"text={text!r}")
            columns = [np.array(texts.map(str).tolist(), dtype=object)]
        elif len(self._inputs) > 1:
            features = zip(self._inputs, self._features(frame), strict=True)
            columns = [_typed(one, name, column, model=self.version) for one, (name, column) in features]
        else:
            (one,) = self._inputs
            parts = [_typed(one, name, column, model=self.version) for name, column in self._features(frame)]
            columns = [np.column_stack(parts) if len(parts) > 1 else parts[0]]
        return {
            one.name: values.reshape(len(frame), -1) if len(one.shape) == _DIMENSIONS else values
            for one, values in zip(self._inputs, columns, strict=True)
        }


def _check_inputs(declared: OnnxModel, inputs: Sequence[Any]) -> None:
    """Raises ConfigurationError for a graph that Batchord cannot feed."""
    names = [one.name for one in inputs]
    if {"input_ids", "pixel_values"} & set(names):
        raise ConfigurationError(
            f"{declared.location} reads {', '.join(names)}: what a tokenizer or an image processor makes. Batchord "
            "feeds columns of a table and whole texts; for such a model use TransformersText or TransformersImage."
        )
    for one in inputs:
        if one.type not in _TYPES or len(one.shape) not in (1, _DIMENSIONS):
            raise ConfigurationError(
                f"{declared.location} has an input {one.name!r} of type {one.type} and shape {one.shape}: Batchord "
                "feeds numbers and texts, of records x columns."
            )
        if isinstance(one.shape[0], int):
            raise ConfigurationError(
                f"{declared.location} takes exactly {counted(one.shape[0], 'record')} at a time (input {one.name!r}): "
                "export it with a free first dimension."
            )
        if len(inputs) > 1 and len(one.shape) == _DIMENSIONS and one.shape[1] not in (1, None):
            raise ConfigurationError(
                f"{declared.location} has several inputs, and {one.name!r} takes {counted(one.shape[1], 'column')}: "
                "export it with an input for each column, or with one for all."
            )
    if declared.text is not None and (len(inputs) > 1 or inputs[0].type != _TEXT):
        kinds = ", ".join(f"{one.name} ({one.type})" for one in inputs)
        raise ConfigurationError(
            f"text={declared.text!r} needs a graph with one input of texts, but {declared.location} reads {kinds}: "
            "name its columns in features=[…]."
        )


def _typed(one: Any, name: str, column: "pd.Series[Any]", *, model: str) -> "np.ndarray[Any, Any]":
    """A column as an input wants it. Raises ConfigurationError for a wrong type, ValueError for a missing value."""
    import numpy as np

    if one.type == _TEXT:
        if column.isna().any():
            raise ValueError(f"column {name!r} has no value, and the graph takes texts there")
        return np.array(column.map(str).tolist(), dtype=object)
    values = numbers(name, column, model=model)
    wanted = np.dtype(_TYPES[one.type])
    if wanted.kind != "f" and not np.isfinite(values).all():
        raise ValueError(f"column {name!r} has no value, and the graph takes whole numbers there")
    if wanted.kind in "iu":
        exact = column.to_numpy(dtype=wanted) if column.dtype.kind in "iu" else values.astype(wanted)
        if (exact != values).any():
            raise ValueError(f"column {name!r} has a value that is no {wanted}, as the graph takes it there")
        return exact
    return values.astype(wanted)

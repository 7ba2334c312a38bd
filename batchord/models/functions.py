"""Plain functions as models."""

from typing import TYPE_CHECKING, Any

from batchord.core.declared.models import FunctionModel
from batchord.core.errors import ConfigurationError, ModelContractViolation
from batchord.models.failures import predicting
from batchord.models.versions import WEIGHT_DIGITS, readable_name

if TYPE_CHECKING:
    import pandas as pd


def function_version(declared: FunctionModel) -> str:
    """``name@version`` where the author gave a version, else ``name@digest`` of the function's code as it was loaded.

    :meth:`.core.code.Code.digest` says what that covers: not the files, the environment and the libraries that the
    function reads, nor what is imported by a name that is put together at run time. An author whose function depends
    on such gives ``version=``. Raises ConfigurationError where no text can be had.
    """
    function = declared.function
    name = readable_name(getattr(function, "__name__", type(function).__name__))
    if declared.version is not None:
        return f"{name}@{declared.version}"
    digest = declared.code_digest
    if digest is None:
        raise ConfigurationError(
            f"The source text of function {name!r} cannot be had, so its version is unknown: give "
            "FunctionModel(…, version='1') and raise it with every change, or write a plain function in a file."
        )
    return f"{name}@{digest[:WEIGHT_DIGITS]}"


class LoadedFunction:
    """Implements :class:`batchord.core.ports.LoadedModel` for a function."""

    runs_on = "cpu"
    picture_side = None
    costly_characters = None
    reads = None

    def __init__(self, declared: FunctionModel, version: str) -> None:
        self.version = version
        self._function = declared.function

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """See :meth:`batchord.core.ports.LoadedModel.predict`; rows and index are as the function gave them."""
        import pandas as pd

        with predicting(self.version, frame):
            # A copy: notebooks add columns to the frame that they are given.
            output = self._function(frame.copy())
        if isinstance(output, pd.Series):
            numeric = pd.api.types.is_numeric_dtype(output.dtype) and not pd.api.types.is_bool_dtype(output.dtype)
            output = output.to_frame("score" if numeric else "label")
        if not isinstance(output, pd.DataFrame):
            raise ModelContractViolation(
                f"{self.version} returned a {type(output).__name__} instead of a Series or DataFrame with the "
                "frame's index: return pd.Series(values, index=frame.index)."
            )
        return _typed(output, self.version)


def _text(label: Any) -> Any:
    """A label as text; None where it is missing. Bytes stay, so that the flow can reject them."""
    import pandas as pd

    if isinstance(label, bytes) or (pd.api.types.is_scalar(label) and pd.isna(label)):
        return label if isinstance(label, bytes) else None
    return str(label)


def _typed(output: "pd.DataFrame", version: str) -> "pd.DataFrame":
    import pandas as pd

    columns = {name: output[name] for name in output.columns}
    if "label" in columns:
        columns["label"] = columns["label"].astype(object).map(_text)
    if "score" in columns:
        try:
            columns["score"] = columns["score"].astype(float)
        except (TypeError, ValueError) as error:
            raise ModelContractViolation(
                f"{version} returned a column 'score' that is not numeric: {error}."
            ) from error
    return pd.DataFrame(columns, index=output.index)

"""Plain functions as models."""

import inspect
import textwrap
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from app.adapters.models.failures import predicting
from app.adapters.models.versions import digest_text, readable_name
from app.core.errors import ConfigurationError, ModelContractViolation
from app.core.models import FunctionModel

if TYPE_CHECKING:
    import pandas as pd

#: Read once per function: after the file is edited, a running process still runs the old code.
_digests: "WeakKeyDictionary[Callable[..., Any], str]" = WeakKeyDictionary()
_lock = threading.Lock()


def function_version(declared: FunctionModel) -> str:
    """``name@version`` where the author gave a version, else ``name@digest`` of the function's source text.

    The text covers the function alone, not what it calls or the files that it reads: an author whose
    function depends on more gives ``version=``. Raises ConfigurationError where no source can be had.
    """
    function = declared.function
    name = readable_name(getattr(function, "__name__", type(function).__name__))
    return f"{name}@{declared.version or _source_digest(function, name)}"


def _source_digest(function: Callable[[Any], Any], name: str) -> str:
    with _lock:
        try:
            if function not in _digests:
                _digests[function] = digest_text(textwrap.dedent(inspect.getsource(function)))
            return _digests[function]
        except (OSError, TypeError) as error:
            raise ConfigurationError(
                f"The source text of function {name!r} cannot be had ({error}), so its version is unknown: "
                "give FunctionModel(…, version='1') and raise it with every change, or write a plain function in a "
                "file."
            ) from error


class LoadedFunction:
    """Implements :class:`app.core.ports.LoadedModel` for a function."""

    runs_on = "cpu"
    picture_side = None
    costly_characters = None
    reads = None

    def __init__(self, declared: FunctionModel, version: str) -> None:
        self.version = version
        self._function = declared.function

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """See :meth:`app.core.ports.LoadedModel.predict`; rows and index are as the function gave them."""
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

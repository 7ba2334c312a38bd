"""Plain functions as models."""

import inspect
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from batchord.core.code.places import place_of_function
from batchord.core.declared.checks import not_callable
from batchord.core.declared.models import NOT_IN_VERSION, Model, ModelFunction, takes_functions
from batchord.core.errors import ConfigurationError, ModelContractViolation
from batchord.core.text.error_text import clause
from batchord.flow.predict.outputs import check_contract, naming_the_function
from batchord.models.failures import predicting
from batchord.models.versions import WEIGHT_DIGITS, readable_name

if TYPE_CHECKING:
    import pandas as pd


@takes_functions
@dataclass(frozen=True)
class FunctionModel(Model):
    """A plain function ``frame -> Series or DataFrame``. A numeric Series is the score, any other is the label.

    With ``images=``, the column of locations holds PIL images (RGB) when the function gets the frame.

    Args:
        function: The function: it gets the records as a DataFrame, indexed by key.
        text: Column with the text, for a model that reads one.
        empty: What happens to a record whose text is empty or only white space: ``reject``, or ``predict``. A
            missing text is always rejected.
        images: Which images are read and accepted, for a model that reads images.
        version: The version that the author gives; None: the digest of the function's code.
    """

    loads_quickly: ClassVar[bool] = True

    function: ModelFunction = field(metadata=NOT_IN_VERSION)
    _: KW_ONLY
    version: str | None = field(default=None, metadata=NOT_IN_VERSION)

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each."""
        problems = super().problems()
        function = self.function
        if not callable(function):
            problems.append(not_callable(function, of="a DataFrame"))
        elif inspect.iscoroutinefunction(function):
            problems.append("its function is a coroutine: give a plain function, which may call asyncio.run")
        elif isinstance(function, type) and issubclass(function, Model):
            problems.append(f"model= is the class {function.__name__}: give a model, such as {function.__name__}(…)")
        return problems

    @property
    def written_at(self) -> str | None:
        """See the base class: the first line of the function."""
        return place_of_function(self.function)

    @property
    def traits(self) -> dict[str, str]:
        """See the base class. The version stands for the function itself."""
        return {**super().traits, "function": str(self.version or self.code_digest)}

    @cached_property
    def code_digest(self) -> str | None:
        """The digest of the function and of all code of the author that it uses, as it was loaded; None without a text.

        It is computed only once: the values that an object holds may change while it predicts.
        """
        return self.code.digest(self.function, declared_in=self.declared_in)

    def own_version(self) -> str:
        """``name@version`` if the author gives a version, otherwise ``name@digest`` of the function's loaded code.

        :meth:`.core.code.Code.digest` says what the digest covers. It does not cover the files, the environment and the
        libraries that the function reads, nor modules whose names are put together at run time. If a function depends
        on these, its author gives ``version=``. Raises ConfigurationError if the code's text is not available.
        """
        name = readable_name(getattr(self.function, "__name__", type(self.function).__name__))
        if self.version is not None:
            return f"{name}@{self.version}"
        if self.code_digest is None:
            raise ConfigurationError(
                f"The source text of function {name!r} is not available, so its version is unknown. Use "
                "FunctionModel(…, version='1') and raise the version with every change, or write a plain function in a "
                "file."
            )
        return f"{name}@{self.code_digest[:WEIGHT_DIGITS]}"

    def load(self, files: Path | None, version: str, *, threads: int, copied: bool) -> "LoadedFunction":  # noqa: ARG002
        """See the base class. It returns the function as it was loaded."""
        return LoadedFunction(self, version)


class LoadedFunction:
    """Implements :class:`.LoadedModel` for a function."""

    runs_on = "cpu"
    picture_side = None
    costly_characters = None
    reads = None

    def __init__(self, declared: FunctionModel, version: str) -> None:
        self.version = version
        self._function = declared.function

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """See :meth:`.LoadedModel.predict`."""
        with predicting(self.version, frame):
            # A copy, because functions from notebooks often add columns to their frame.
            output = self._function(frame.copy())
        with naming_the_function(self._function):
            predictions = self._predictions(output)
            check_contract(frame, predictions)
        return predictions

    def _predictions(self, output: Any) -> "pd.DataFrame":
        import pandas as pd

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
    """A label as text; None for a missing label. Bytes stay bytes, so that the flow can reject them."""
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
                f"{version} returned a column 'score' that is not numeric: {clause(error)}."
            ) from error
    return pd.DataFrame(columns, index=output.index)

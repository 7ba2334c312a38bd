"""The parameters that a person gives a run."""

import json
from collections.abc import Mapping
from typing import Any

from batchord.core.errors import ConfigurationError
from batchord.core.run.records import storable, unstorable
from batchord.core.text.error_text import clause


class Params(dict[str, Any]):
    """A run's parameters by name. The KeyError for a missing parameter lists the others."""

    def __missing__(self, name: object) -> Any:
        names = ", ".join(self) or "none"
        raise KeyError(f"the run has no parameter {name!r}; its parameters: {names}. Give it with --param {name}=...")


def check_params(params: Mapping[str, Any]) -> None:
    """Raises ConfigurationError, which names the parameter, if the ledger cannot store a parameter's value."""
    for name, value in params.items():
        subject = f"Parameter {storable(str(name))}"
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            if is_not_finite(error):
                raise ConfigurationError(
                    f"{subject} holds NaN or infinity, which JSON does not have: give another number, or null."
                ) from None
            raise ConfigurationError(f"{subject} cannot be written as JSON: {clause(error)}.") from None
        if unstorable([name, value]):
            raise ConfigurationError(
                f"{subject} holds a NUL character or half of a surrogate pair, which PostgreSQL cannot store: "
                "remove it."
            )


def is_not_finite(error: BaseException) -> bool:
    """Whether json refused a value because of NaN or infinity. Only the message of Python's error shows it."""
    return isinstance(error, ValueError) and str(error).startswith("Out of range float")

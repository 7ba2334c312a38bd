"""The parameters of a run, given by hand."""

import json
from collections.abc import Mapping
from typing import Any

from batchord.core.errors import ConfigurationError
from batchord.core.run.records import storable, unstorable


class Params(dict[str, Any]):
    """A run's parameters by name; one that was not given is answered with those that were."""

    def __missing__(self, name: object) -> Any:
        known = ", ".join(self) or "none"
        raise KeyError(f"the run has no parameter {name!r}; its parameters: {known}. Give it with --param {name}=...")


def check_params(params: Mapping[str, Any]) -> None:
    """Raises ConfigurationError, which names the parameter, for a value that no run can keep."""
    for name, value in params.items():
        said = f"Parameter {storable(str(name))}"
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            if is_not_finite(error):
                raise ConfigurationError(
                    f"{said} holds NaN or infinity, which JSON does not have: give another number, or null."
                ) from None
            raise ConfigurationError(f"{said} cannot be written as JSON: {error}.") from None
        if unstorable([name, value]):
            raise ConfigurationError(
                f"{said} holds a NUL character or half of a surrogate pair, which PostgreSQL cannot store: remove it."
            )


def is_not_finite(error: BaseException) -> bool:
    """Whether JSON was refused for NaN or infinity; Python's message alone tells."""
    return isinstance(error, ValueError) and str(error).startswith("Out of range float")

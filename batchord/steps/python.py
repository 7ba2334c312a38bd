"""Functions as steps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batchord.core.declared.step_context import StepContext
from batchord.core.declared.steps import TaskStep
from batchord.steps.functions import called, function_problems


@dataclass(frozen=True)
class Python(TaskStep):
    """A step that calls a plain function, with the run (:class:`batchord.RunContext`) if it takes an argument.

    Later steps read its result, JSON-like and at most 64 KiB, as ``run["<name>"].value``. If its worker dies before it
    records the end, Batchord calls the function again. If that does harm, declare ``idempotent=False``.
    """

    function: Callable[..., Any]

    def problems(self) -> list[str]:
        """See the base class."""
        return super().problems() + function_problems(self.function)

    def execute(self, context: StepContext) -> Any:
        """See the base class."""
        return called(self.function, context.run)

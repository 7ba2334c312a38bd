"""Functions as steps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batchord.core.declared.context import RunContext
from batchord.core.declared.step_context import StepContext
from batchord.core.declared.steps import TaskStep
from batchord.steps.functions import called, function_problems, steps_read


@dataclass(frozen=True)
class Python(TaskStep):
    """A step that calls a plain function, with the run (:class:`batchord.RunContext`) if it takes an argument.

    Later steps read its result, JSON-like and at most 64 KiB, as ``run["<name>"].value``. If its worker dies before it
    records the end, Batchord calls the function again. If that does harm, declare ``idempotent=False``.

    Args:
        name: The name of the step, in lower case.
        function: The function. It takes the run, or nothing.
        after: The names of the steps right before it.
        join: When it runs. ``all_done_ok``: none of the steps before it failed, and one ran. ``always``: all of
            them are over.
        retry: The retry after errors of its own. None: that of the pipeline.
        time_limit: The longest time of an attempt. None: no limit.
        idempotent: Whether it may run again after its worker died during the work. Otherwise the step has failed
            then.
        queue: The queue whose workers execute it.
    """

    function: Callable[[RunContext], object] | Callable[[], object]

    def problems(self) -> list[str]:
        """See the base class."""
        return super().problems() + function_problems(self.function)

    @property
    def outputs_read(self) -> tuple[str, ...]:
        """See the base class."""
        return steps_read(self.function)

    def execute(self, context: StepContext) -> Any:
        """See the base class."""
        return called(self.function, context.run)

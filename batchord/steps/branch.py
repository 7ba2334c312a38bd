"""Functions that choose which steps run."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from typing import ClassVar

from batchord.core.declared.context import RunContext
from batchord.core.declared.step_context import Choice, Chosen, StepContext
from batchord.core.declared.steps import TaskStep
from batchord.steps.functions import called, function_problems, steps_read


@dataclass(frozen=True)
class Branch(TaskStep):
    """A step whose function chooses which of the steps right after it run: it returns one name or several.

    The others are skipped, unless a chosen step leads to them or their join is ``always``.

    Args:
        name: The name of the step, in lower case.
        function: The function that returns the name of a step, or several names. It takes the run, or nothing.
        after: The names of the steps right before it.
        join: When it runs. ``all_done_ok``: none of the steps before it failed, and one ran. ``always``: all of
            them are over.
        retry: The retry after errors of its own. None: that of the pipeline.
        time_limit: The longest time of an attempt. None: no limit.
        queue: The queue whose workers execute it.
    """

    chooses: ClassVar[bool] = True

    function: Callable[[RunContext], Chosen] | Callable[[], Chosen]
    _: KW_ONLY
    time_limit: timedelta | None = timedelta(minutes=5)
    #: A decision changes nothing, so it may be repeated.
    idempotent: bool = field(init=False, repr=False, default=True)

    def problems(self) -> list[str]:
        """See the base class."""
        return super().problems() + function_problems(self.function)

    @property
    def outputs_read(self) -> tuple[str, ...]:
        """See the base class."""
        return steps_read(self.function)

    @property
    def may_change_tables(self) -> bool:
        """See the base class. A decision changes nothing."""
        return False

    def execute(self, context: StepContext) -> Choice:
        """See the base class."""
        return Choice(called(self.function, context.run))

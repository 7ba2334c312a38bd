"""Functions that choose which steps run."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

from batchord.core.declared.step_context import Choice, StepContext
from batchord.core.declared.steps import TaskStep
from batchord.steps.functions import called, function_problems


@dataclass(frozen=True)
class Branch(TaskStep):
    """A step whose function chooses which of the steps right after it run: it returns one name or several.

    The others are skipped, unless a chosen step leads to them or their join is ``always``.
    """

    chooses: ClassVar[bool] = True

    function: Callable[..., Any]
    _: KW_ONLY
    time_limit: timedelta | None = timedelta(minutes=5)
    #: A decision changes nothing, so it may be repeated.
    idempotent: bool = field(init=False, repr=False, default=True)

    def problems(self) -> list[str]:
        """See the base class."""
        return super().problems() + function_problems(self.function)

    def execute(self, context: StepContext) -> Choice:
        """See the base class."""
        return Choice(called(self.function, context.run))

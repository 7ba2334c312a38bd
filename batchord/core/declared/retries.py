"""How often, and after which waits, a failed step is tried again."""

import random
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta

from batchord.core.declared.checks import is_whole, shown
from batchord.core.text.calls import NamesOptions


@dataclass(frozen=True)
class Retry(NamesOptions):
    """Up to ``times`` further attempts after a failed one. Each wait is twice as long as the one before.

    It is for errors of the step itself. After a fault of a server or the network, or the death of a worker, a step is
    tried again without it; ``BATCHORD_MAX_ATTEMPTS`` limits those attempts.

    Args:
        times: How many further attempts there may be.
        base: The wait before the second attempt.
        ceiling: The longest wait.
        errors: Exceptions after which the step is tried again; any other ends the step at once. A ``Bash`` step
            fails with :class:`batchord.CommandFailed`, a ``Sql`` step with :class:`batchord.SqlFailed`, a shard of
            a ``Predict`` step with :class:`batchord.ModelError`. A step that takes too long fails with
            :class:`batchord.OutOfTime`.
    """

    times: int
    _: KW_ONLY
    base: timedelta = timedelta(seconds=10)
    ceiling: timedelta = timedelta(minutes=10)
    errors: tuple[type[BaseException], ...] = (Exception,)

    def allows(self, error: BaseException, *, attempt: int) -> bool:
        """Whether another attempt follows attempt number ``attempt`` (from 1), which ended with ``error``."""
        return attempt <= self.times and isinstance(error, self.errors)

    def wait(self, attempt: int) -> float:
        """Seconds to wait after attempt number ``attempt``: they grow exponentially, and half of them is random.

        So steps that failed together do not come back together ("equal jitter"; M. Brooker, "Exponential Backoff
        and Jitter", AWS Architecture Blog, 2015).
        """
        longest = min(self.ceiling.total_seconds(), self.base.total_seconds() * 2 ** min(attempt - 1, 32))
        return random.uniform(longest / 2, longest)  # noqa: S311 -- spreads load, guards nothing

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each."""
        problems = []
        if not is_whole(self.times, least=0):
            problems.append(f"Retry({self.times!r}): give a number of attempts, such as Retry(3)")
        for name in ("base", "ceiling"):
            value = getattr(self, name)
            if not _are_waits(value):
                problems.append(f"Retry({name}={value!r}): give a timedelta that is not negative")
        if _are_waits(self.base, self.ceiling) and self.base > self.ceiling:
            problems.append(
                f"Retry(base={self.base!r}) is longer than ceiling={self.ceiling!r}: give a longer ceiling= as well"
            )
        if (
            not self.errors
            or not isinstance(self.errors, tuple)
            or not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in self.errors)
        ):
            problems.append(
                f"Retry(errors={shown(self.errors)}): give a tuple of exception classes, such as (ConnectionError,)"
            )
        return problems


def _are_waits(*values: object) -> bool:
    return all(isinstance(value, timedelta) and value >= timedelta(0) for value in values)


#: The retry of a step that declares none.
NO_RETRY = Retry(0)

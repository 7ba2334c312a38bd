"""How often, and how soon, what failed is tried again."""

import random
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta

from batchord.core.declared.checks import is_whole


@dataclass(frozen=True)
class Retry:
    """Up to ``times`` further attempts after a failed one, each after twice the wait of the one before.

    A fault of a server or of the network, and the death of a worker, are borne without it: those attempts are
    counted by ``BATCHORD_MAX_ATTEMPTS``. This is for errors of the step's own.
    """

    times: int
    _: KW_ONLY
    #: The wait before the second attempt.
    base: timedelta = timedelta(seconds=10)
    #: No wait is longer.
    ceiling: timedelta = timedelta(minutes=10)
    #: Exceptions that another attempt may help against; all others end the step at once. A ``Bash`` step fails
    #: with :class:`app.CommandFailed`, a ``Sql`` step with :class:`app.SqlFailed`, a shard of a ``Predict`` step with
    #: :class:`app.ModelError`, and what takes too long with :class:`app.OutOfTime`.
    errors: tuple[type[BaseException], ...] = (Exception,)

    def allows(self, error: BaseException, *, attempt: int) -> bool:
        """Whether attempt number ``attempt`` (from 1) that ended with ``error`` is followed by another."""
        return attempt <= self.times and isinstance(error, self.errors)

    def wait(self, attempt: int) -> float:
        """Seconds after attempt number ``attempt``: exponential, and half of it at random.

        Steps that failed together do not come back together ("equal jitter"; M. Brooker, "Exponential Backoff
        and Jitter", AWS Architecture Blog, 2015).
        """
        longest = min(self.ceiling.total_seconds(), self.base.total_seconds() * 2 ** min(attempt - 1, 32))
        return random.uniform(longest / 2, longest)  # noqa: S311 -- spreads load, guards nothing

    def problems(self) -> list[str]:
        """What is wrong with the declaration, one sentence each."""
        found = []
        if not is_whole(self.times, least=0):
            found.append(f"Retry({self.times!r}): give a number of attempts, such as Retry(3)")
        for name in ("base", "ceiling"):
            value = getattr(self, name)
            if not _are_waits(value):
                found.append(f"Retry({name}={value!r}): give a timedelta that is not negative")
        if _are_waits(self.base, self.ceiling) and self.base > self.ceiling:
            found.append(
                f"Retry(base={self.base!r}) is longer than ceiling={self.ceiling!r}: give a longer ceiling= as well"
            )
        if (
            not self.errors
            or not isinstance(self.errors, tuple)
            or not all(isinstance(each, type) and issubclass(each, BaseException) for each in self.errors)
        ):
            found.append(f"Retry(errors={self.errors!r}): give a tuple of exception classes")
        return found


def _are_waits(*values: object) -> bool:
    return all(isinstance(each, timedelta) and each >= timedelta(0) for each in values)


#: What a step has that declares none.
NO_RETRY = Retry(0)

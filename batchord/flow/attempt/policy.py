"""What an attempt's error means: whose doing it is, and whether there is another attempt."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from batchord.core.declared.retries import NO_RETRY, Retry
from batchord.core.errors import (
    BatchordError,
    CodeChanged,
    ConfigurationError,
    FinalStepError,
    TransientError,
    UnknownPipeline,
    UnknownStep,
)
from batchord.core.process.exhaustion import is_exhaustion


class Fault(Enum):
    """Whose doing an error is."""

    #: The work's own. Its author's Retry says whether it is tried again.
    OWN = auto()
    #: Of something around it: a server is away, or this worker does not know the file yet. It is tried again, a bounded
    #: number of times.
    PASSING = auto()
    #: Of this process, which lacks memory or threads.
    PROCESS = auto()
    #: The work's own, and no other attempt would end better.
    FINAL = auto()
    #: Nobody's: the file was edited while the work was under way. A follow-up run goes on with the new code.
    EDITED = auto()


class Verdict(NamedTuple):
    """What is to become of the work."""

    fault: Fault
    #: Whether there is another attempt.
    again: bool
    #: Seconds until then; None: as long as whoever sends it waits usually.
    wait: float | None = None


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How the errors of one attempt are judged."""

    #: Attempts so far, this one included, that count for the author's Retry.
    own_attempts: int
    #: Attempts so far, this one included, that count for what is around the work, and how many there may be.
    attempts: int
    most_attempts: int
    #: Whether this attempt brought the work on: then a passing error never ends it, since less is left each time.
    moved_on: bool = False
    #: The author's word on errors of the work's own.
    retry: Retry = NO_RETRY
    #: Seconds to wait after the attempt of that number, for what is around the work.
    wait: Callable[[int], float | None] = lambda _: None
    #: Whether the code here is newer than the work: then a step that is unknown here was edited away.
    edited: bool = False
    #: Whose doing it is that the process lacks memory or threads; None: as if that were any other error.
    exhausted: Fault | None = Fault.PASSING
    #: Whose doing an error is that is none of Batchord's.
    unforeseen: Fault = Fault.OWN

    def verdict(self, error: BaseException) -> Verdict:
        """What is to become of the work after ``error``."""
        fault = self._fault(error)
        if fault is Fault.OWN:
            again = self.retry.allows(error, attempt=self.own_attempts)
            return Verdict(fault, again, self.retry.wait(self.own_attempts) if again else None)
        if fault is Fault.PASSING:
            again = self.attempts < self.most_attempts or (self.moved_on and is_passing(error))
            return Verdict(fault, again, self.wait(self.attempts) if again else None)
        return Verdict(fault, again=False)

    def _fault(self, error: BaseException) -> Fault:
        if isinstance(error, CodeChanged) or (isinstance(error, UnknownStep) and self.edited):
            return Fault.EDITED
        if is_passing(error):
            return Fault.PASSING
        if self.exhausted is not None and is_exhaustion(error):
            return self.exhausted
        if isinstance(error, FinalStepError | ConfigurationError):
            return Fault.FINAL
        return Fault.OWN if isinstance(error, BatchordError) else self.unforeseen


def is_passing(error: BaseException) -> bool:
    """Whether the error says by itself that it passes: as in a deploy, another worker may know the pipeline."""
    return isinstance(error, TransientError | UnknownPipeline)

"""What an attempt's error means: where its cause lies, and whether another attempt follows."""

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
    """Where the cause of an error lies."""

    #: In the work itself. The author's Retry says whether it is tried again.
    OWN = auto()
    #: Around the work: a server is away, or this worker does not know the file yet. The number of further attempts is
    #: limited.
    PASSING = auto()
    #: In this process, which lacks memory or threads.
    PROCESS = auto()
    #: In the work itself, and no other attempt can succeed.
    FINAL = auto()
    #: In an edit: the file was changed during the work. A follow-up run continues with the new code.
    EDITED = auto()


class Verdict(NamedTuple):
    """What happens to the work after an error."""

    fault: Fault
    #: Whether another attempt follows.
    again: bool
    #: Seconds until that attempt; None: the usual wait of the sender.
    wait: float | None = None


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rules by which the errors of one attempt are judged."""

    #: Attempts so far, this one included, that count for the author's Retry.
    own_attempts: int
    #: Attempts so far, this one included, that count for causes around the work, and the most that are allowed.
    attempts: int
    most_attempts: int
    #: Whether this attempt made progress. Then a passing error never ends the work: less of it is left each time.
    moved_on: bool = False
    #: The author's Retry for errors of the work itself.
    retry: Retry = NO_RETRY
    #: Seconds to wait after the attempt of that number, for causes around the work.
    wait: Callable[[int], float | None] = lambda _: None
    #: Whether the code here is newer than the work. Then an edit has removed a step that is unknown here.
    edited: bool = False
    #: The fault if the process lacks memory or threads; None: judged like any other error.
    exhausted: Fault | None = Fault.PASSING
    #: The fault of an error that is not one of Batchord's own classes.
    unforeseen: Fault = Fault.OWN

    def verdict(self, error: BaseException) -> Verdict:
        """What happens to the work after ``error``."""
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
    """Whether the error passes by itself. In a deploy, for example, another worker may know the pipeline."""
    return isinstance(error, TransientError | UnknownPipeline)

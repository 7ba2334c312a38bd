"""One attempt at a piece of work: its lease is kept, what it says is logged, and what comes of it is judged once."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from typing import Generic, TypeVar

from batchord.core.errors import LeaseLost
from batchord.core.process.exhaustion import is_exhaustion, note_exhaustion
from batchord.core.process.leaving import ends_the_process
from batchord.core.run.messages import Message
from batchord.flow.attempt.heartbeat import Heartbeat
from batchord.flow.attempt.log import AttemptLog
from batchord.flow.attempt.policy import Policy, Verdict

log = logging.getLogger(__name__)

Result = TypeVar("Result")
#: Adds a line to the attempt's log: its stream, and its text.
Line = Callable[[str, str], None]


class Attempt(ABC, Generic[Result]):
    """An attempt under a lease that was claimed. A kind of work is a subclass; :meth:`make` is the same for all."""

    #: Whether the lease is kept until the end is written down; else until the work is done.
    keeps_lease_to_end = False
    #: Seconds after which the work is over its time; None: never.
    limit: float | None = None
    #: Seconds between two renewals of the lease.
    every: float

    @abstractmethod
    def renew(self) -> bool | None:
        """Keeps the lease; returns False, or raises LeaseLost, when it is gone."""

    def log(self) -> AbstractContextManager[AttemptLog | None]:
        """Keeps what is said in the block; without a log nothing is kept."""
        return nullcontext()

    @abstractmethod
    def work(self, beat: Heartbeat, line: Line) -> Result:
        """Does the work. ``beat`` knows whether the lease is lost, and whether the work is over its time."""

    @abstractmethod
    def policy(self) -> Policy:
        """How errors of :meth:`work` are judged, asked for after one."""

    def tell(self, error: BaseException, verdict: Verdict) -> None:
        """Logs the error; what is logged here is in the attempt's log."""

    @abstractmethod
    def done(self, result: Result, beat: Heartbeat) -> list[Message]:
        """Writes the good end down, where :meth:`work` did not, and returns what is to be sent."""

    @abstractmethod
    def failed(self, error: BaseException, verdict: Verdict, beat: Heartbeat) -> list[Message]:
        """Gives the work back, or ends it as failed; returns what is to be sent.

        May raise TransientError instead, for whoever called to try again.
        """

    @abstractmethod
    def lease_lost(self, error: LeaseLost) -> list[Message]:
        """Returns what is to be sent when another worker has the lease: nothing is written then."""

    def make(self) -> list[Message]:
        """Makes the attempt, and returns what is to be sent. Raises what ``failed`` and ``lease_lost`` raise."""
        with ExitStack() as keeping:
            with self.log() as lines:
                beat = keeping.enter_context(Heartbeat(self.renew, every=self.every, limit=self.limit))
                end = self._worked(beat, _nowhere if lines is None else lines.line)
                if not self.keeps_lease_to_end:
                    beat.stop()
            # After the log is kept: who sees the end of the work can read it.
            return end()

    def _worked(self, beat: Heartbeat, line: Line) -> Callable[[], list[Message]]:
        """Does the work; what is left to do about its end."""
        try:
            return partial(self.done, self.work(beat, line), beat)
        except LeaseLost as error:
            log.warning("The lease is lost: %s", error)
            return partial(self.lease_lost, error)
        except BaseException as error:
            if ends_the_process(error):  # what became of the work is the parent process's to say
                raise
            verdict = self.policy().verdict(error)
            self.tell(error, verdict)
            if is_exhaustion(error):
                note_exhaustion(error)
            return partial(self.failed, error, verdict, beat)


def _nowhere(_stream: str, _text: str) -> None:
    pass

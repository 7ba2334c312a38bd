"""One attempt at a piece of work. It keeps its lease, logs its output, and judges its error once."""

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
#: Adds a line to the attempt's log. Its arguments are the stream and the text.
Line = Callable[[str, str], None]


class Attempt(ABC, Generic[Result]):
    """An attempt under a claimed lease. Each kind of work is a subclass; :meth:`make` is the same for all of them."""

    #: Whether the lease is kept until the end is written down. Otherwise it is kept until the work is done.
    keeps_lease_to_end = False
    #: The most seconds that the work may take; None: no limit.
    limit: float | None = None
    #: Seconds between two renewals of the lease.
    every: float

    @abstractmethod
    def renew(self) -> bool | None:
        """Extends the lease. Returns False, or raises LeaseLost, if the lease is lost."""

    def log(self) -> AbstractContextManager[AttemptLog | None]:
        """The log that keeps what the block logs and prints; without a log, nothing is kept."""
        return nullcontext()

    @abstractmethod
    def work(self, beat: Heartbeat, line: Line) -> Result:
        """Does the work. ``beat`` shows whether the lease is lost, and whether the work has exceeded its limit."""

    @abstractmethod
    def policy(self) -> Policy:
        """The policy that judges an error of :meth:`work`. It is called only after an error."""

    def tell(self, error: BaseException, verdict: Verdict) -> None:
        """Logs the error in the attempt's log."""

    @abstractmethod
    def done(self, result: Result, beat: Heartbeat) -> list[Message]:
        """Records the success, unless :meth:`work` did so, and returns the messages to send."""

    @abstractmethod
    def failed(self, error: BaseException, verdict: Verdict, beat: Heartbeat) -> list[Message]:
        """Gives the work back or ends it as failed, and returns the messages to send.

        It may raise TransientError instead; then the caller tries again.
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
            # The log is stored first: then everybody who sees the end of the work can read its log.
            return end()

    def _worked(self, beat: Heartbeat, line: Line) -> Callable[[], list[Message]]:
        """Does the work and returns a function that records its end."""
        try:
            return partial(self.done, self.work(beat, line), beat)
        except LeaseLost as error:
            log.warning("The lease is lost: %s", error)
            return partial(self.lease_lost, error)
        except BaseException as error:
            if ends_the_process(error):  # the parent process records the outcome
                raise
            verdict = self.policy().verdict(error)
            self.tell(error, verdict)
            if is_exhaustion(error):
                note_exhaustion(error)
            return partial(self.failed, error, verdict, beat)


def _nowhere(_stream: str, _text: str) -> None:
    pass

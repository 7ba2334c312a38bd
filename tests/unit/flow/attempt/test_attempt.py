"""One attempt: the lease is kept while it works, its log is kept before its end, and its end is one of three."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from batchord.core.errors import LeaseLost, StepError
from batchord.core.run.messages import Message, RunReady
from batchord.flow.attempt.attempt import Attempt, Line
from batchord.flow.attempt.heartbeat import Heartbeat
from batchord.flow.attempt.policy import Fault, Policy, Verdict
from tests.waiting import wait_until

SENT: list[Message] = [RunReady(run_id="r")]


class _Noting(Attempt[str]):
    """Notes what is asked of it, in its order; ``error``: what its work raises."""

    every = 0.01

    def __init__(self, error: BaseException | None = None, *, to_end: bool = False) -> None:
        self.noted: list[Any] = []
        self.renewed = threading.Event()
        self.keeps_lease_to_end = to_end
        self._error = error

    def renew(self) -> None:
        self.renewed.set()

    @contextmanager
    def log(self) -> Iterator[None]:
        yield
        self.noted.append("log kept")

    def work(self, beat: Heartbeat, line: Line) -> str:
        line("stdout", "without a log this goes nowhere")
        wait_until(self.renewed.is_set, description="the lease is renewed")
        assert not beat.lost.is_set()
        if self._error is not None:
            raise self._error
        return "result"

    def policy(self) -> Policy:
        return Policy(own_attempts=1, attempts=1, most_attempts=3)

    def tell(self, error: BaseException, verdict: Verdict) -> None:
        self.noted.append(("told", str(error), verdict.fault))

    def done(self, result: str, beat: Heartbeat) -> list[Message]:  # noqa: ARG002 -- the base class's
        return self._ended(result)

    def failed(self, error: BaseException, verdict: Verdict, beat: Heartbeat) -> list[Message]:  # noqa: ARG002 -- as above
        return self._ended(("failed", str(error), verdict.again))

    def lease_lost(self, error: LeaseLost) -> list[Message]:
        return self._ended(("lost", str(error)))

    def _ended(self, how: Any) -> list[Message]:
        self.renewed.clear()
        if self.keeps_lease_to_end:
            wait_until(self.renewed.is_set, description="the lease is renewed at the end, too")
        self.noted.append(how)
        return SENT


@pytest.mark.parametrize("to_end", [False, True])
@pytest.mark.parametrize(
    ("error", "noted"),
    [
        (None, ["log kept", "result"]),
        (StepError("broke"), [("told", "broke", Fault.OWN), "log kept", ("failed", "broke", False)]),
        (LeaseLost("gone"), ["log kept", ("lost", "gone")]),
    ],
)
def test_an_attempt_has_one_end(error: Exception | None, noted: list[Any], *, to_end: bool) -> None:
    """Written down after its log is kept; an error is told before that, to be in the log."""
    attempt = _Noting(error, to_end=to_end)

    assert attempt.make() == SENT
    assert attempt.noted == noted
    assert "batchord-heartbeat" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(-247)])
def test_the_end_of_the_process_is_no_end_of_the_attempt(error: BaseException) -> None:
    """What became of it is its parent process's to say."""
    attempt = _Noting(error)

    with pytest.raises(type(error)):
        attempt.make()
    assert attempt.noted == []


def test_leaving_without_a_signal_is_an_error() -> None:
    """As any other of the code that ran."""
    attempt = _Noting(SystemExit(3))

    assert attempt.make() == SENT
    assert attempt.noted[0] == ("told", "3", Fault.OWN)

"""What an error means: whose doing it is, whether there is another attempt, and after which wait."""

from datetime import timedelta
from typing import Any

import pytest

from batchord.core.declared.retries import NO_RETRY, Retry
from batchord.core.errors import (
    CodeChanged,
    CommandFailed,
    ConfigurationError,
    ModelError,
    OutputRefused,
    StepError,
    TransientError,
    UnknownPipeline,
    UnknownStep,
)
from batchord.flow.attempt.policy import Fault, Policy, Verdict

SECOND = timedelta(seconds=1)
#: Up to two further attempts, the first after half a second to a second.
TWICE = Retry(2, base=SECOND, ceiling=10 * SECOND)


def judged(error: BaseException, *, own: int = 1, attempts: int = 1, **options: Any) -> Verdict:
    """The verdict on the error of an attempt, of which there may be three for what is around the work."""
    given = {"retry": TWICE, "most_attempts": 3, **options}
    return Policy(own_attempts=own, attempts=attempts, **given).verdict(error)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ValueError("the author's"), Fault.OWN),
        (StepError("a step's"), Fault.OWN),
        (CommandFailed("exit code 3", exit_code=3), Fault.OWN),
        (ModelError("a model's"), Fault.OWN),
        (TransientError("the source is away"), Fault.PASSING),
        (UnknownPipeline("not here yet"), Fault.PASSING),
        (UnknownStep("not here yet"), Fault.PASSING),
        (MemoryError(), Fault.PASSING),
        (OutputRefused("too large"), Fault.FINAL),
        (ConfigurationError("no such variable"), Fault.FINAL),
        (CodeChanged("edited"), Fault.EDITED),
    ],
)
def test_whose_doing_an_error_is(error: Exception, fault: Fault) -> None:
    """Only the first two kinds are tried again."""
    verdict = judged(error)

    assert verdict.fault is fault
    assert verdict.again is (fault in (Fault.OWN, Fault.PASSING))


def test_errors_of_the_works_own_are_for_its_authors_retry() -> None:
    """How many, after which waits, and which errors; those of the surroundings do not count."""
    assert 0.5 <= (judged(ValueError(), own=1, attempts=9).wait or 0) <= 1
    assert 1 <= (judged(ValueError(), own=2).wait or 0) <= 2
    assert judged(ValueError(), own=3) == Verdict(Fault.OWN, again=False)
    assert not judged(ValueError(), retry=Retry(2, errors=(KeyError,))).again
    assert not judged(ValueError(), retry=NO_RETRY).again


def test_passing_errors_are_tried_again_a_bounded_number_of_times() -> None:
    """Unless each attempt brings the work on; the author's Retry has no say."""
    away = TransientError("away")

    assert judged(away, own=9, attempts=2, retry=NO_RETRY) == Verdict(Fault.PASSING, again=True, wait=None)
    assert judged(away, attempts=2, wait=lambda attempt: 10.0 * attempt).wait == 20
    assert not judged(away, attempts=3).again
    assert judged(away, attempts=99, moved_on=True).again
    assert not judged(MemoryError(), attempts=99, moved_on=True).again


def test_kinds_of_work_differ_in_what_they_hold_against_it() -> None:
    """A process without memory may be the work's doing, the process's, or nobody's; so may what nobody foresaw."""
    assert judged(MemoryError(), exhausted=Fault.PROCESS) == Verdict(Fault.PROCESS, again=False)
    assert judged(MemoryError(), exhausted=None).fault is Fault.OWN
    assert judged(ValueError(), unforeseen=Fault.FINAL) == Verdict(Fault.FINAL, again=False)
    assert judged(ValueError(), unforeseen=Fault.PASSING).fault is Fault.PASSING
    assert judged(ModelError(), unforeseen=Fault.FINAL).fault is Fault.OWN


def test_a_step_that_is_unknown_to_newer_code_was_edited_away() -> None:
    """A pipeline that is unknown may be known to others all the same."""
    assert judged(UnknownStep(), edited=True).fault is Fault.EDITED
    assert judged(UnknownPipeline(), edited=True).fault is Fault.PASSING

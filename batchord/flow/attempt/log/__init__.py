"""Stores what an attempt logs and prints while it works, so that people can read it after the worker is gone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from batchord.core.run.logs import AttemptName, LogStore
from batchord.flow.attempt.log.capture import end_printed, install, of_context, uninstall
from batchord.flow.attempt.log.writer import AttemptLog

__all__ = ["AttemptLog", "attempt_log", "current", "install", "uninstall"]


@contextmanager
def attempt_log(
    store: LogStore,
    attempt: AttemptName,
    *,
    worker: str,
    limit_bytes: int,
    mask: Callable[[str], str],
    flush_seconds: float = 1.0,
) -> Iterator[AttemptLog]:
    """Stores what this context logs and prints until the block ends. Call :func:`install` before.

    ``mask`` is applied to each message. Of a log that exceeds ``limit_bytes``, the first and the last part are stored.
    The block never fails because of its log: the process's own log reports what the store did not take.
    """
    log = AttemptLog(store, attempt, worker=worker, limit_bytes=limit_bytes, mask=mask, flush_seconds=flush_seconds)
    token = of_context.set(log)
    try:
        yield log
    finally:
        if of_context.get() is log:  # otherwise a forked child is leaving the block, too
            end_printed(log)
        # Reset before close(): what the store logs meanwhile does not belong to the attempt.
        of_context.reset(token)
        log.close()


def current() -> AttemptName | None:
    """The attempt that this context belongs to."""
    log = of_context.get()
    return None if log is None else log.attempt

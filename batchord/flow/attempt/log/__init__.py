"""What an attempt logs and prints, written down while it works: readable after its worker is gone."""

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
    """Keeps what is logged and printed in this context until the block ends; :func:`install` must have been called.

    ``mask`` is applied to each message. Of more than ``limit_bytes`` the first and the last half are kept. The block
    never fails for its log: what the store does not take is reported in the process's own.
    """
    log = AttemptLog(store, attempt, worker=worker, limit_bytes=limit_bytes, mask=mask, flush_seconds=flush_seconds)
    token = of_context.set(log)
    try:
        yield log
    finally:
        if of_context.get() is log:  # else this is a forked child that leaves the block, too
            end_printed(log)
        # Before the log is closed: what the store logs meanwhile is not the attempt's.
        of_context.reset(token)
        log.close()


def current() -> AttemptName | None:
    """The attempt that this context belongs to."""
    log = of_context.get()
    return None if log is None else log.attempt

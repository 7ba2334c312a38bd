"""A log that is opened as tests want it."""

from contextlib import AbstractContextManager
from typing import Any

from batchord.core.run.logs import AttemptName
from batchord.flow.attempt.log import AttemptLog, attempt_log
from tests.contracts.kept_logs import KeptLogs

NAME = AttemptName("01970000-0000-7000-8000-000000000001", "score", 3, 1)


def opened(
    store: KeptLogs, name: AttemptName = NAME, *, limit_bytes: int = 1_000_000, flush_seconds: float = 60, **more: Any
) -> AbstractContextManager[AttemptLog]:
    """A log that is written at its end only, unless said otherwise."""
    more.setdefault("mask", str)
    return attempt_log(store, name, worker="host:1", limit_bytes=limit_bytes, flush_seconds=flush_seconds, **more)

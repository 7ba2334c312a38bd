"""What people are told of, and what an author asks to be told of."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any


class AlertKind(StrEnum):
    """What an alert is about."""

    RUN_FAILED = "run-failed"
    RUN_PARTIAL = "run-partial"
    REJECTION_LIMIT = "rejection-limit"
    #: Records are missing or twice.
    AUDIT = "audit"
    #: The oldest record without a prediction is older than the objective.
    RECORD_AGE = "record-age"
    RUN_TIME = "run-time"
    #: No run has succeeded for a time.
    SILENCE = "silence"
    #: A pipeline file cannot be used.
    BROKEN_FILE = "broken-file"
    #: No file declares a pipeline any more that was scheduled.
    PIPELINE_GONE = "pipeline-gone"
    #: What was wrong is no longer.
    RECOVERED = "recovered"
    #: Asked for by a person who wants to see whether alerts arrive.
    TEST = "test"


@dataclass(frozen=True, kw_only=True)
class Alerts:
    """What a pipeline's people want to know besides runs that fail, and where they are told.

    Runs that failed or are partial, and what an audit found, are told of without being asked.
    """

    #: Environment variable, where the control workers run, that holds this pipeline's own receivers: apprise
    #: addresses, separated by white space or commas. They are told besides those of ``BATCHORD_ALERT_URLS``.
    urls_env: str | None = None
    #: Age of the oldest record without a prediction or rejection, by its arrival, which must be a time.
    max_record_age: timedelta | None = None
    #: From a run's start to its end.
    max_run_time: timedelta | None = None
    #: Since the end of the newest run that succeeded.
    max_time_without_success: timedelta | None = None

    def problems(self) -> list[str]:
        """What is wrong with the declaration, one sentence each."""
        found = []
        for name in ("max_record_age", "max_run_time", "max_time_without_success"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, timedelta) or value <= timedelta(0)):
                found.append(f"alerts: {name}={value!r}: give a timedelta above zero, such as timedelta(hours=1)")
        if self.urls_env is not None and (not isinstance(self.urls_env, str) or "://" in self.urls_env):
            found.append("alerts: urls_env= is the name of an environment variable, not an address: it holds secrets")
        return found


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A message to people that is to be sent."""

    id: int
    kind: AlertKind
    pipeline: str
    title: str
    message: str
    #: How often sending it was tried before.
    attempts: int
    #: Digests of the addresses that have taken it.
    sent: frozenset[str]

    @property
    def good_news(self) -> bool:
        """Whether nobody needs to act."""
        return self.kind in (AlertKind.RECOVERED, AlertKind.TEST)


@dataclass(frozen=True, kw_only=True)
class NewAlert:
    """A message to people, to be kept once for its event."""

    #: Names the event, so that it is told once, however often it is found.
    event: str
    kind: AlertKind
    pipeline: str
    title: str
    message: str
    run_id: str | None = None

    def as_values(self) -> dict[str, Any]:
        """By the names of the ledger's columns."""
        return {**vars(self), "kind": self.kind.value}

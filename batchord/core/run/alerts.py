"""Alerts: messages to people."""

from dataclasses import dataclass
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

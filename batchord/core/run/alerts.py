"""Alerts: messages to people."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class AlertKind(StrEnum):
    """The subject of an alert."""

    RUN_FAILED = "run-failed"
    RUN_PARTIAL = "run-partial"
    REJECTION_LIMIT = "rejection-limit"
    #: The audit found records that are missing or accounted for twice.
    AUDIT = "audit"
    #: The oldest record without a prediction is older than ``Alerts.max_record_age``.
    RECORD_AGE = "record-age"
    #: A run takes longer than ``Alerts.max_run_time``.
    RUN_TIME = "run-time"
    #: No run has succeeded for longer than ``Alerts.max_time_without_success``.
    SILENCE = "silence"
    #: A pipeline file cannot be used.
    BROKEN_FILE = "broken-file"
    #: No file declares a scheduled pipeline any more.
    PIPELINE_GONE = "pipeline-gone"
    #: The cause of an earlier alert is gone.
    RECOVERED = "recovered"
    #: A person wants to see whether alerts arrive.
    TEST = "test"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A message to people that waits to be sent."""

    id: int
    kind: AlertKind
    pipeline: str
    title: str
    message: str
    #: The run that it is about; None: it is about none.
    run_id: str | None = None
    #: How many attempts to send it were made before.
    attempts: int
    #: Digests of the addresses that have accepted it.
    sent: frozenset[str]

    @property
    def good_news(self) -> bool:
        """Whether nobody needs to act."""
        return self.kind in (AlertKind.RECOVERED, AlertKind.TEST)


@dataclass(frozen=True, kw_only=True)
class NewAlert:
    """A message to people that the ledger keeps once for its event."""

    #: Identifies the event. However often the event is noticed, one alert is sent for it.
    event: str
    kind: AlertKind
    pipeline: str
    title: str
    message: str
    run_id: str | None = None

    def as_values(self) -> dict[str, Any]:
        """The alert's values by the names of the ledger's columns."""
        return {**vars(self), "kind": self.kind.value}

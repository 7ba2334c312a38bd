"""Why a record is rejected, and why an attempt was lost. The ledger counts these values; no code parses sentences."""

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """Why a record cannot be predicted."""

    # The record's input cannot be used.
    MISSING_TEXT = "missing-text"
    EMPTY_TEXT = "empty-text"
    MISSING_LOCATION = "missing-location"
    LOCATION_NOT_ALLOWED = "location-not-allowed"
    MISSING_OBJECT = "missing-object"
    FORBIDDEN_OBJECT = "forbidden-object"
    UNREADABLE_OBJECT = "unreadable-object"
    EMPTY_OBJECT = "empty-object"
    TOO_LARGE = "too-large"
    FORMAT_NOT_ALLOWED = "format-not-allowed"
    TOO_MANY_PIXELS = "too-many-pixels"
    TOO_MANY_SCANS = "too-many-scans"
    TOO_MANY_PARTS = "too-many-parts"
    TOO_SLOW_TO_DECODE = "too-slow-to-decode"
    CORRUPT_IMAGE = "corrupt-image"
    DUPLICATE_KEY = "duplicate-key"
    UNREADABLE_VALUE = "unreadable-value"
    UNFITTING_VALUE = "unfitting-value"
    UNFITTING_KEY = "unfitting-key"
    # The table of predictions did not take the row.
    REFUSED_BY_TABLE = "refused-by-table"
    # The model got the record and returned nothing that can be stored.
    MODEL_ERROR = "model-error"
    NO_OUTPUT = "no-output"
    NOT_FINITE = "not-finite"
    BYTES_OUTPUT = "bytes-output"
    NOT_JSON = "not-json"
    UNFITTING_OUTPUT = "unfitting-output"
    # The worker's process died, ran out of time or ran out of memory each time it predicted this record.
    KILLED_WORKER = "killed-worker"
    OUT_OF_TIME = "out-of-time"
    OUT_OF_MEMORY = "out-of-memory"


class LossCause(StrEnum):
    """Why an attempt was lost: its worker did not report its end."""

    #: Its lease ran out. Nothing more is known.
    VANISHED = "vanished"
    #: SIGKILL ended its process. Often the kernel sends it because memory is short.
    KILLED = "killed"
    #: Another signal ended its process, or its process exited.
    ENDED = "ended"
    OUT_OF_TIME = "out-of-time"
    OUT_OF_MEMORY = "out-of-memory"
    #: Its worker was told to stop, and the time to finish was over. The work itself is not to blame.
    STOPPED = "stopped"


LOSS_REASONS = (Reason.KILLED_WORKER, Reason.OUT_OF_TIME, Reason.OUT_OF_MEMORY)
OUTPUT_REASONS = (
    Reason.MODEL_ERROR,
    Reason.NO_OUTPUT,
    Reason.NOT_FINITE,
    Reason.BYTES_OUTPUT,
    Reason.NOT_JSON,
    Reason.UNFITTING_OUTPUT,
)


def reason_of_loss(cause: LossCause | None) -> Reason:
    """The reason to reject a record that lost its workers even alone in its shard. ``cause``: that of the last loss."""
    match cause:
        case LossCause.OUT_OF_TIME:
            return Reason.OUT_OF_TIME
        case LossCause.OUT_OF_MEMORY:
            return Reason.OUT_OF_MEMORY
    return Reason.KILLED_WORKER


def of_the_model(rejections: Mapping[str, int]) -> dict[str, int]:
    """The rejections, by reason, of records that the model got. A record with a corrupt image never reaches it."""
    return {reason: count for reason, count in rejections.items() if reason in (*LOSS_REASONS, *OUTPUT_REASONS)}

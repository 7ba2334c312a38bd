"""Why a record is rejected, and why an attempt was lost: what the ledger counts and nobody reads out of a sentence."""

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """Why a record cannot be predicted."""

    # The record's own input.
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
    # The model was given the record and came to nothing that can be stored.
    MODEL_ERROR = "model-error"
    NO_OUTPUT = "no-output"
    NOT_FINITE = "not-finite"
    BYTES_OUTPUT = "bytes-output"
    NOT_JSON = "not-json"
    # Its worker's process died, ran out of time or out of memory whenever it predicted this record.
    KILLED_WORKER = "killed-worker"
    OUT_OF_TIME = "out-of-time"
    OUT_OF_MEMORY = "out-of-memory"


class LossCause(StrEnum):
    """Why an attempt ended without its worker's word."""

    #: Its lease ran out, and nothing more is known.
    VANISHED = "vanished"
    #: By SIGKILL: often by the kernel, for want of memory.
    KILLED = "killed"
    #: By another signal, or with an exit code.
    ENDED = "ended"
    OUT_OF_TIME = "out-of-time"
    OUT_OF_MEMORY = "out-of-memory"
    #: The worker was told to stop, and its time was over: no fault of what it did.
    STOPPED = "stopped"


LOSS_REASONS = (Reason.KILLED_WORKER, Reason.OUT_OF_TIME, Reason.OUT_OF_MEMORY)
OUTPUT_REASONS = (Reason.MODEL_ERROR, Reason.NO_OUTPUT, Reason.NOT_FINITE, Reason.BYTES_OUTPUT, Reason.NOT_JSON)


def reason_of(cause: LossCause | None) -> Reason:
    """Why a record is rejected that lost its workers whenever it stood alone; ``cause``: of the last loss."""
    match cause:
        case LossCause.OUT_OF_TIME:
            return Reason.OUT_OF_TIME
        case LossCause.OUT_OF_MEMORY:
            return Reason.OUT_OF_MEMORY
    return Reason.KILLED_WORKER


def of_the_model(rejections: Mapping[str, int]) -> dict[str, int]:
    """Of rejections by reason those for which the model was given the record; a corrupt image never reached it."""
    return {reason: count for reason, count in rejections.items() if reason in (*LOSS_REASONS, *OUTPUT_REASONS)}

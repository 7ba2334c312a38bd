"""Why records are rejected: which reasons speak of the model rather than of the record's own input."""

from collections.abc import Mapping

#: A record's worker died, ran out of time or out of memory whenever it predicted that record.
LOSS_REASONS = ("killed-worker", "out-of-time", "out-of-memory")
#: The model was given the record and came to nothing that can be stored.
OUTPUT_REASONS = ("model-error", "no-output", "not-finite", "bytes-output", "not-json")


def of_the_model(rejections: Mapping[str, int]) -> dict[str, int]:
    """Of rejections by reason those for which the model was given the record; a corrupt image never reached it."""
    return {reason: count for reason, count in rejections.items() if reason in (*LOSS_REASONS, *OUTPUT_REASONS)}

"""The errors of attempts that do no work: they only end their step, because earlier attempts were lost."""

#: How these errors begin. The ledger keeps only their texts.
LOST_WORKER = "the step lost its worker"
TOOK_TOO_LONG = "the step took too long, and Batchord ended it"
#: How this one ends, after the number of attempts.
LOST_PLANNERS = "to plan the step ended without a result"


def only_ends(error: str | None) -> bool:
    """Whether an attempt with this error did no work, and only ended its step."""
    return error is not None and (error.startswith((LOST_WORKER, TOOK_TOO_LONG)) or error.endswith(LOST_PLANNERS))

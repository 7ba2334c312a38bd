"""Opens runs for records that other runs leave out: rejected ones after a fix, and those that an audit found."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from batchord.core.run.history import Actor
from batchord.core.run.messages import Message
from batchord.core.run.runs import Kind, NewRun, Run
from batchord.flow.begin.start import new_run
from batchord.flow.drive.advance import advance
from batchord.flow.parts import Parts
from batchord.flow.upkeep.history import change

#: The start of a window that covers everything. Both PostgreSQL and Python can express this day.
BEGINNING = datetime(1, 1, 2, tzinfo=UTC)


def retry_rejections(
    parts: Parts,
    *,
    pipeline: str,
    reason: str | None = None,
    keys: Sequence[str] | None = None,
    actor: Actor | None = None,
) -> tuple[Run | None, int, list[Message]]:
    """Removes rejections (all, by reason, or by key) and opens a run that predicts those records again.

    Returns the run (None if no rejection matched), the number of removed rejections, and the messages to send.
    ``actor``: the person for the history.
    Raises UnknownPipeline, TransientError.
    """
    detail = {"reason": reason, "keys": None if keys is None else list(keys)}
    noted = change(parts, actor, "retry", pipeline=pipeline, detail=detail)
    new = replace(_repair(parts, pipeline, trigger="retry"), change=noted)
    opened, count = parts.ledger.runs.open_retry(new, reason=reason, keys=keys)
    if opened is None:
        return None, 0, []
    return opened, count, advance(parts, run_id=opened.id)


def repair_missing(parts: Parts, *, pipeline: str, actor: Actor | None = None) -> tuple[Run, list[Message]]:
    """Opens a run that reads the whole source, and so predicts the records that an audit found missing.

    ``actor``: the person for the history; None: the daily audit.
    """
    noted = change(parts, actor, "repair", pipeline=pipeline)
    run = parts.ledger.runs.open(replace(_repair(parts, pipeline, trigger="audit"), change=noted)).run
    return run, advance(parts, run_id=run.id)


def _repair(parts: Parts, pipeline: str, *, trigger: str) -> NewRun:
    declared = parts.catalog.get(pipeline)
    return replace(
        new_run(declared, Kind.REPAIR, trigger),
        full_scan=True,
        window_start=BEGINNING,
        window_end=parts.ledger.runs.now(),
    )

"""Who acts, and how what a verb leaves to be sent is sent."""

from collections.abc import Sequence

from batchord.core.run.history import Actor, Way
from batchord.core.run.messages import Message
from batchord.core.run.runs import Run
from batchord.flow.begin.repair import retry_rejections
from batchord.queue.publisher import publish
from batchord.queue.replies import ASKER
from batchord.reports.rejections import retry_in_words
from batchord.reports.run_names import short_id
from batchord.wiring import catalog, ledger, parts


def actor() -> Actor:
    """The person behind the request, for the history."""
    return ASKER.get() or Actor(user=None, host=None, way=Way.FLOWER)


def retry(*, pipeline: str, reason: str | None, keys: Sequence[str] | None = None) -> tuple[str, Run | None]:
    """Removes rejections of the pipeline and starts a run that predicts their records again.

    All rejections, or those with this reason, or those of these records. Returns what happened, and the run; None: no
    rejection matches.
    """
    run, count, messages = retry_rejections(parts(), pipeline=pipeline, reason=reason, keys=keys, actor=actor())
    send(messages)
    return retry_in_words(count, short_id=None if run is None else short_id(ledger(), run.id)), run


def send(messages: Sequence[Message]) -> None:
    """Sends the messages of a verb, which has committed. The sweeper sends those that cannot be sent now.

    The verb has written who asked. Workers need not be told again with each message.
    """
    token = ASKER.set(None)
    try:
        publish(messages, catalog=catalog())
    finally:
        ASKER.reset(token)

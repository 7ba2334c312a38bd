"""Who acts, and how what a verb leaves to be sent is sent."""

from collections.abc import Sequence

from batchord.core.run.history import Actor, Way
from batchord.core.run.messages import Message
from batchord.queue.publisher import publish
from batchord.queue.replies import ASKER
from batchord.wiring import catalog


def actor() -> Actor:
    """The person behind the request, for the history."""
    return ASKER.get() or Actor(user=None, host=None, way=Way.FLOWER)


def send(messages: Sequence[Message]) -> None:
    """Sends the messages of a verb, which has committed. The sweeper sends those that cannot be sent now.

    The verb has written who asked. Workers need not be told again with each message.
    """
    token = ASKER.set(None)
    try:
        publish(messages, catalog=catalog())
    finally:
        ASKER.reset(token)

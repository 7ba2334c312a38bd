"""Writes into each message when it was sent, so that its age can be told: neither Celery nor Redis keeps that time.

Importing the module is enough. It holds for everything that this process sends, however it does that.
"""

import time
from typing import Any

from celery.signals import before_task_publish

#: The header with the time, in seconds since 1970 by the clock of the machine that sent the message.
SENT_AT = "batchord_sent_at"


@before_task_publish.connect  # type: ignore[untyped-decorator]
def note_time(headers: Any = None, **_: Any) -> None:
    """Adds the time, in place of the time of a message that Celery sends again."""
    if isinstance(headers, dict):
        headers[SENT_AT] = time.time()

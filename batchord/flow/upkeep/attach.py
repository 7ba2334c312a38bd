"""The report of a run as an attachment of an alert. Whatever fails here, the alert is sent."""

import logging
import threading
from functools import cached_property

from batchord.core.addresses.receivers import address_schema
from batchord.core.ports import Attachment
from batchord.core.run.alerts import Alert
from batchord.flow.parts import Parts

log = logging.getLogger(__name__)

#: Mail servers and chats refuse larger messages. A report has some 100 KiB.
_MOST_BYTES = 2 * 1024 * 1024
#: How long an alert waits for its report.
_SECONDS = 20.0
_MAIL = ("mailto", "mailtos")


class AttachedReport:
    """The report of an alert's run. It is made once, for the first receiver that is to get it."""

    def __init__(self, parts: Parts, alert: Alert, *, seconds: float = _SECONDS) -> None:
        self._parts = parts
        self._alert = alert
        self._seconds = seconds

    def is_for(self, address: str) -> bool:
        """Whether the receiver is to get it: by the settings, and if the alert is bad news about a run."""
        if self._alert.run_id is None or self._alert.good_news or self._parts.run_report is None:
            return False
        to = self._parts.settings.alert_reports
        return to == "all" or (to == "mail" and address_schema(address) in _MAIL)

    def note(self, why: str) -> str:
        """A sentence for the message that goes out without it."""
        return (
            f"The run's report is not attached: {why}. `batchord report {self._alert.run_id} -o report.html` writes it."
        )

    @cached_property
    def attachment(self) -> Attachment | str:
        """The report, or why there is none."""
        made: list[Attachment | str] = []
        # A thread of its own: a query that hangs must not hold back the alert.
        thread = threading.Thread(target=lambda: made.append(self._made()), name="batchord-report", daemon=True)
        thread.start()
        thread.join(self._seconds)
        return made[0] if made else f"it was not ready within {self._seconds:g} s"

    def _made(self) -> Attachment | str:
        make, run_id = self._parts.run_report, self._alert.run_id or ""
        assert make is not None  # noqa: S101 -- is_for() was asked
        try:
            html = make(run_id)
        except Exception as error:
            log.warning("The report of run %s for alert %s could not be made.", run_id, self._alert.id, exc_info=True)
            return f"making it failed with {type(error).__name__}"
        size = len(html.encode(errors="replace"))
        if size > _MOST_BYTES:
            return f"it has {size // 1024:,} KiB, more than {_MOST_BYTES // 1024:,} KiB"
        return Attachment(name=f"{self._alert.pipeline}-{run_id}.html", kind="text/html", text=html)

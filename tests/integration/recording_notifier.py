"""A notifier in memory."""

from batchord.core.errors import TransientError
from batchord.core.ports import Attachment


class RecordingNotifier:
    """A notifier that keeps its messages by address. The addresses in ``down`` refuse every message."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.down: set[str] = set()
        #: Those that refuse a message with an attachment.
        self.takes_no_files: set[str] = set()
        self.attachments: dict[str, Attachment] = {}

    def problems(self, address: str) -> str | None:
        """See the protocol."""
        return None if "://" in address else "no address"

    def send(
        self,
        address: str,
        *,
        title: str,
        body: str,
        failure: bool,  # noqa: ARG002 -- the protocol's
        attachment: Attachment | None = None,
    ) -> None:
        """See the protocol."""
        if address in self.down or (attachment is not None and address in self.takes_no_files):
            raise TransientError("the receiver is down")
        self.sent.append((address, title, body))
        if attachment is not None:
            self.attachments[address] = attachment

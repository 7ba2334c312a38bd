"""Looks for edits of the pipeline files while beat works."""

import logging
import threading

from batchord.catalog import LiveCatalog, Snapshot

log = logging.getLogger(__name__)


class Edits:
    """The current pipelines. A thread looks for edits.

    Trying and loading files takes as long as loading their libraries. If beat waited for that for ten seconds, it would
    lose its lock.
    """

    def __init__(self, catalog: LiveCatalog) -> None:
        self._catalog = catalog
        self._looking: threading.Thread | None = None
        self.newest: Snapshot = catalog.snapshot()

    def look(self) -> None:
        """Starts to look for edits, unless a thread is doing so already. Afterwards, ``newest`` holds the edits."""
        if self._looking is None or not self._looking.is_alive():
            self._looking = threading.Thread(target=self._look, name="batchord-edits", daemon=True)
            self._looking.start()

    def _look(self) -> None:
        try:
            self.newest = self._catalog.snapshot()
        except Exception:  # whatever the error, beat must continue with its schedules
            log.exception("Beat cannot check the pipeline files. The schedules stay as they are.")

"""Beat looks at the pipeline files beside its work."""

import logging
import threading

from batchord.catalog import LiveCatalog, Snapshot

log = logging.getLogger(__name__)


class Edits:
    """The pipelines as they are now, looked at in a thread.

    To try and load files takes as long as it takes their libraries to load, and a beat that stands still for ten
    seconds loses its lock.
    """

    def __init__(self, catalog: LiveCatalog) -> None:
        self._catalog = catalog
        self._looking: threading.Thread | None = None
        self.newest: Snapshot = catalog.snapshot()

    def look(self) -> None:
        """Begins to look, unless that is under way; ``newest`` is another afterwards where something was edited."""
        if self._looking is None or not self._looking.is_alive():
            self._looking = threading.Thread(target=self._look, name="batchord-edits", daemon=True)
            self._looking.start()

    def _look(self) -> None:
        try:
            self.newest = self._catalog.snapshot()
        except Exception:  # whatever it is, what is scheduled goes on
            log.exception("Beat cannot check the pipeline files. The schedules stay as they are.")

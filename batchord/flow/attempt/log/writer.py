"""Stores an attempt's lines, in a thread that starts with the first line."""

import contextvars
import logging
import os
import threading
import time
from collections.abc import Callable

from batchord.core.errors import TransientError
from batchord.core.run.logs import AttemptName, LogPart, LogStore
from batchord.flow.attempt.log.lines import Lines

#: The approximate bytes of a part.
PART_BYTES = 64 * 1024
#: How often an ended attempt tries to store its last lines, and how long its worker waits for that.
_LAST_TRIES = 2
_LAST_SECONDS = 10.0

_log = logging.getLogger(__name__)


class AttemptLog:
    """The log of the attempt at work; safe in threads. Its methods never raise, even if the store fails."""

    def __init__(
        self,
        store: LogStore,
        attempt: AttemptName,
        *,
        worker: str,
        limit_bytes: int,
        mask: Callable[[str], str],
        flush_seconds: float,
    ) -> None:
        self.attempt = attempt
        #: Printed text that has no end of line yet, by thread and stream.
        self.partial: dict[tuple[int, str], str] = {}
        self.limit_bytes = limit_bytes
        #: How much printed text the process's own log has received.
        self.forwarded_bytes = 0
        self._store = store
        self._worker = worker
        self._flush_seconds = flush_seconds
        self._lines = Lines(limit_bytes, mask=mask)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        #: A forked child must not use the log: it has no thread that writes, and a lock may be held for ever.
        self._process = os.getpid()
        self._part = 0
        #: The part that the store has perhaps not taken. It is sent again unchanged, under the same number.
        self._unsure: LogPart | None = None

    def line(self, source: str, message: str) -> None:
        """Adds one line, such as one of a command's output, without its end of line."""
        self.add(time.time(), "INFO", source, message)

    def add(self, created: float, level: str, source: str, message: str) -> None:
        """Adds one line from the time ``created``, in seconds since 1970. Does nothing after the end of the attempt."""
        if self._stop.is_set() or os.getpid() != self._process:
            return
        self._lines.add(created, level, source, message)
        if self._thread is None:
            self._start()

    def close(self) -> None:
        """Stores the last lines. Returns within seconds, with a warning in the process's own log if it failed."""
        if os.getpid() != self._process:
            return
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_LAST_SECONDS)
            if self._thread.is_alive():
                _log.warning(
                    "The end of the log of %s may be missing: the store has not answered for %g s.",
                    self._who,
                    _LAST_SECONDS,
                )
        elif len(self._lines):
            self._end()

    @property
    def _who(self) -> str:
        shard = "" if self.attempt.shard is None else f", shard {self.attempt.shard}"
        return f"attempt {self.attempt.attempt} at step {self.attempt.step}{shard} in run {self.attempt.run_id}"

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            # In an empty context: if the thread's own lines belonged to the attempt, the log would never end.
            thread = threading.Thread(
                target=contextvars.Context().run, args=[self._run], name="batchord-log", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # no more threads: the next line tries again; at last close() stores the lines
                return
            self._thread = thread

    def _run(self) -> None:
        while not self._stop.wait(self._flush_seconds):
            try:
                self._flush()
            except Exception:  # noqa: BLE001 -- the lines are still here, within the limit: the next flush tries again
                _log.debug("The log of %s cannot be written now", self._who, exc_info=True)
        self._end()

    def _flush(self) -> None:
        """Raises what the store raises."""
        while True:
            if self._unsure is None:
                lines = self._lines.take(PART_BYTES)
                if not lines:
                    return
                self._unsure = LogPart(attempt=self.attempt, part=self._part, worker=self._worker, lines=lines)
                self._part += 1
            self._store.append(self._unsure)
            self._unsure = None

    def _end(self) -> None:
        self._lines.close()
        for last in range(1, _LAST_TRIES + 1):
            try:
                self._flush()
            except Exception as error:  # noqa: BLE001 -- the work is done and counts, even if its log is lost
                if isinstance(error, TransientError) and last < _LAST_TRIES:
                    time.sleep(self._flush_seconds)
                    continue
                lost = len(self._lines) + (0 if self._unsure is None else len(self._unsure.lines))
                _log.warning("The log of %s lacks its last %d lines: %s", self._who, lost, error)
            return

"""Tells one object that its store does not deliver from a store that delivers nothing."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from batchord.core.errors import BatchordError, ConfigurationError, DataError, TransientError
from batchord.storage.images.locations import Allowed
from batchord.storage.objects import Objects

#: Locations that are remembered of each allowed prefix, and looked for in a listing: any of them may be gone by now.
_REMEMBERED, _LISTED = 4, 4
#: After so many witnesses that are not delivered either, it is the store.
_MOST_SILENT = 2


class NotDelivered(Exception):
    """The store did not deliver one object; whose fault that is, is not known yet."""

    def __init__(self, location: str, error: BatchordError) -> None:
        super().__init__(str(error))
        self.location = location
        self.error = error


class Witnesses:
    """What was delivered last, by allowed prefix. Safe in threads; a process that was forked goes on with a copy."""

    def __init__(self) -> None:
        self._delivered: dict[str, deque[str]] = {}

    def add(self, prefix: str, location: str) -> None:
        """Remembers an object that was delivered just now."""
        self._delivered.setdefault(prefix, deque(maxlen=_REMEMBERED)).append(location)

    def of(self, prefix: str) -> list[str]:
        """Those of the prefix, the newest first."""
        return list(self._delivered.get(prefix, ()))[::-1]


class Deliveries:
    """Fetches the objects of one frame, and finds out whether those that did not come are to blame themselves."""

    def __init__(
        self, allowed: Allowed, objects: Objects, witnesses: Witnesses, *, max_bytes: int, patience: int
    ) -> None:
        self._allowed = allowed
        self._objects = objects
        self._witnesses = witnesses
        self._max_bytes = max_bytes
        self._patience = patience
        self._lock = threading.Lock()
        self._failed_in_a_row = 0
        self._silent: set[str] = set()

    def fetch(self, location: str) -> bytes:
        """The object's bytes. Raises DataError for what is wrong with the record, and NotDelivered."""
        try:
            data = self._allowed.fetch(location, self._objects, max_bytes=self._max_bytes)
        except (TransientError, ConfigurationError) as error:
            with self._lock:
                self._failed_in_a_row += 1
            raise NotDelivered(location, error) from error
        with self._lock:
            self._failed_in_a_row = 0
            self._witnesses.add(self._allowed.prefix_of(location), location)
        return data

    @property
    def doubtful(self) -> bool:
        """Whether so many failed one after the other that the store is to be looked at before another is asked for."""
        return self._failed_in_a_row >= self._patience

    def confirm(self, failures: Sequence[NotDelivered]) -> None:
        """Returns when the store delivers something else at this moment, from each prefix that had a failure.

        Otherwise raises what the store said: then no object can be blamed.
        """
        self._silent.update(failure.location for failure in failures)
        first = {self._allowed.prefix_of(failure.location): failure for failure in reversed(failures)}
        for prefix, failure in first.items():
            if not self._delivers(prefix):
                raise failure.error
        with self._lock:
            self._failed_in_a_row = 0

    def _delivers(self, prefix: str) -> bool:
        """Whether one of the prefix's other objects comes now."""
        silent = 0
        try:
            for location in chain(self._witnesses.of(prefix), self._listed(prefix)):
                try:
                    self._allowed.fetch(location, self._objects, max_bytes=self._max_bytes)
                except DataError:  # gone, or none that may be read: it says nothing of the store
                    continue
                except (TransientError, ConfigurationError):
                    silent += 1
                    if silent == _MOST_SILENT:
                        return False
                else:
                    return True
        except (DataError, TransientError, ConfigurationError):  # nothing can be listed either
            return False
        return False

    def _listed(self, prefix: str) -> Iterator[str]:
        """Some that are stored there: a record that came alone has no neighbours."""
        listed = self._allowed.listed(prefix, self._objects, max_bytes=self._max_bytes)
        return islice((location for location in listed if location not in self._silent), _LISTED)

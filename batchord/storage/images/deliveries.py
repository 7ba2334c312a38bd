"""Distinguishes a single object that its store does not deliver from a store that delivers nothing."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from batchord.core.errors import BatchordError, ConfigurationError, DataError, TransientError
from batchord.storage.images.locations import Allowed
from batchord.storage.objects import Objects

#: How many locations of each allowed prefix we remember, and take from a listing. Any of them may be gone by now.
_REMEMBERED, _LISTED = 4, 4
#: If this many witnesses are not delivered either, the store is to blame.
_MOST_SILENT = 2


class NotDelivered(Exception):
    """The store did not deliver one object. It is not known yet whether the object or the store is to blame."""

    def __init__(self, location: str, error: BatchordError) -> None:
        super().__init__(str(error))
        self.location = location
        self.error = error


class Witnesses:
    """The objects that were delivered last, by allowed prefix. Threads may share it; a forked child has a copy."""

    def __init__(self) -> None:
        self._delivered: dict[str, deque[str]] = {}

    def add(self, prefix: str, location: str) -> None:
        """Remembers an object that was delivered just now."""
        self._delivered.setdefault(prefix, deque(maxlen=_REMEMBERED)).append(location)

    def of(self, prefix: str) -> list[str]:
        """The prefix's objects that were delivered last, newest first."""
        return list(self._delivered.get(prefix, ()))[::-1]


class Deliveries:
    """Fetches the objects of one frame. Finds out whether undelivered objects or their store are to blame."""

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
        """The object's bytes. Raises DataError if the record is to blame, or NotDelivered."""
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
        """Whether so many objects in a row failed that the store must be checked before the next object."""
        return self._failed_in_a_row >= self._patience

    def confirm(self, failures: Sequence[NotDelivered]) -> None:
        """Checks that the store now delivers another object of each prefix with a failure.

        Otherwise it raises the store's error: then no object can be blamed.
        """
        self._silent.update(failure.location for failure in failures)
        first = {self._allowed.prefix_of(failure.location): failure for failure in reversed(failures)}
        for prefix, failure in first.items():
            if not self._delivers(prefix):
                raise failure.error
        with self._lock:
            self._failed_in_a_row = 0

    def _delivers(self, prefix: str) -> bool:
        """Whether the store now delivers another object of the prefix."""
        silent = 0
        try:
            for location in chain(self._witnesses.of(prefix), self._listed(prefix)):
                try:
                    self._allowed.fetch(location, self._objects, max_bytes=self._max_bytes)
                except DataError:  # the object is gone or cannot be used: this says nothing about the store
                    continue
                except (TransientError, ConfigurationError):
                    silent += 1
                    if silent == _MOST_SILENT:
                        return False
                else:
                    return True
        except (DataError, TransientError, ConfigurationError):  # the store does not list objects either
            return False
        return False

    def _listed(self, prefix: str) -> Iterator[str]:
        """Some objects that are stored below the prefix: a record that came alone has no neighbours."""
        listed = self._allowed.listed(prefix, self._objects, max_bytes=self._max_bytes)
        return islice((location for location in listed if location not in self._silent), _LISTED)

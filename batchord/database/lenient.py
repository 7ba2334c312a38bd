"""Times that PostgreSQL has and Python has not: ``infinity``, before our era, after the year 9999, ``24:00``.

The driver raises for such a value, and with it for all rows that are fetched together. A reader says here what it
gets instead.
"""

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.abc import Loader as AnyLoader
from psycopg.adapt import AdaptersMap, Loader
from psycopg.pq import Format
from psycopg.types.datetime import IntervalLoader

#: date, time, timestamp, timestamptz, timetz: ``pg_type.oid``.
_TIMES = (1082, 1083, 1114, 1184, 1266)
_INTERVAL = 1186


def as_text(value: bytes) -> str:
    """PostgreSQL's own text, which it reads again as the same value."""
    return value.decode()


def as_missing(value: bytes) -> None:
    """None."""


def bear_times(adapters: AdaptersMap, otherwise: Callable[[bytes], Any]) -> None:
    """Makes whoever reads with ``adapters`` (a connection's, a cursor's) get ``otherwise`` for such a value.

    Also inside of arrays and ranges, where None is an end that is open.
    """
    for oid in _TIMES:
        standard = psycopg.adapters.get_loader(oid, Format.TEXT)
        assert standard is not None  # noqa: S101 -- the driver's own types
        adapters.register_loader(oid, _bearing(standard, otherwise))
    # Python's own: the one in C counts days beyond 2**31 from the beginning again, and raises nothing.
    adapters.register_loader(_INTERVAL, _bearing(IntervalLoader, otherwise))


def _bearing(standard: type[AnyLoader], otherwise: Callable[[bytes], Any]) -> type[Loader]:
    # Not a subclass of the driver's, which is written in C and calls itself past any method of Python's.
    class BearingLoader(Loader):
        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            self._load = standard(oid, context).load

        def load(self, data: Buffer) -> Any:
            try:
                return self._load(data)
            except (psycopg.DataError, ValueError, OverflowError):
                return otherwise(bytes(data))

    return BearingLoader

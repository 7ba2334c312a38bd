"""Times that PostgreSQL can express and Python cannot: ``infinity``, before our era, after the year 9999, ``24:00``.

For such a value the driver raises, and then none of the rows that are fetched together can be read. Here a reader
chooses a value to get instead.
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
    """PostgreSQL's own text. PostgreSQL reads it again as the same value."""
    return value.decode()


def as_missing(value: bytes) -> None:
    """None, whatever the value."""


def bear_times(adapters: AdaptersMap, otherwise: Callable[[bytes], Any]) -> None:
    """Makes ``adapters`` (of a connection or a cursor) return the result of ``otherwise`` for such a value.

    This includes values inside of arrays and ranges. In a range, None means an open end.
    """
    for oid in _TIMES:
        standard = psycopg.adapters.get_loader(oid, Format.TEXT)
        assert standard is not None  # noqa: S101 -- the driver has a loader for its own types
        adapters.register_loader(oid, _bearing(standard, otherwise))
    # The loader in Python: the one in C overflows silently for days beyond 2**31.
    adapters.register_loader(_INTERVAL, _bearing(IntervalLoader, otherwise))


def _bearing(standard: type[AnyLoader], otherwise: Callable[[bytes], Any]) -> type[Loader]:
    # It wraps the driver's loader instead of deriving from it: that one is written in C and ignores overridden methods.
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

"""Sources that hang: their table is locked by somebody for longer than a read of it may wait."""

import random
import threading
import time

import psycopg

from tests.soak.sources import SOURCES
from tests.soak.writers import NAME
from tests.waiting import wait_until

#: How long a read may wait for a lock, by the setting of the soak's processes.
LOCK_SECONDS = 2
#: How long the others have to go on meanwhile, whatever else goes wrong.
_PATIENCE_SECONDS = 60
#: A run of another pipeline that was opened, and predicted something, since.
_ANOTHER_WENT_ON = """
    SELECT EXISTS (SELECT FROM batchord.runs
                   WHERE pipeline <> %s AND created_at > %s AND state = 'succeeded' AND predicted > 0)
"""


class NothingToHarm(Exception):
    """The fault would not be one now."""


class TableLocks:
    """Locks one table at a time, until its readers gave up and a pipeline on another table had a whole run."""

    def __init__(self, database_url: str, chance: random.Random) -> None:
        self._url = database_url
        self._chance = chance
        self._holding: threading.Thread | None = None
        #: Locks that were held to their end, and those that a restart of PostgreSQL ended.
        self.held = 0
        self.cut_short = 0
        #: Tables for which no other pipeline made progress during the lock.
        self.stood_still: list[str] = []

    def strike(self) -> None:
        """Begins to lock a table. Raises NothingToHarm while one is locked."""
        table, seconds = self._chance.choice(SOURCES).table, LOCK_SECONDS + self._chance.uniform(1, 7)
        if self._holding is not None and self._holding.is_alive():
            raise NothingToHarm
        self._holding = threading.Thread(target=self._hold, args=(table, seconds), name=f"lock-{table}")
        self._holding.start()

    def end(self) -> None:
        """Returns when no table is locked any more."""
        if self._holding is not None:
            self._holding.join()

    def _hold(self, table: str, seconds: float) -> None:
        try:
            with psycopg.connect(self._url, application_name=NAME, connect_timeout=5) as session:
                session.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                (since,) = session.execute("SELECT clock_timestamp()").fetchone() or ()
                begin = time.monotonic()
                wait_until(
                    lambda: (
                        time.monotonic() - begin >= seconds
                        and session.execute(_ANOTHER_WENT_ON, [table, since]).fetchone() == (True,)
                    ),
                    description="another pipeline went on",
                    timeout=_PATIENCE_SECONDS,
                    interval=0.25,
                )
            self.held += 1
        except AssertionError:
            self.stood_still.append(table)
        except psycopg.OperationalError:
            self.cut_short += 1

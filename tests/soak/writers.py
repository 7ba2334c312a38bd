"""Programs that write into the sources as such programs do: in transactions of any length, some rolled back."""

import random
import threading
from collections.abc import Sequence
from typing import Any, Self

import psycopg

from tests.soak.sources import SOURCES, ClientClock, SoakSource

#: Marks the sessions that the chaos spares: it is Batchord's that it cuts.
NAME = "soak-writer"
_WRITERS = 4
#: One body in so many cannot be predicted.
_BAD = 100


class Writers:
    """Insert into the tables until the block ends."""

    def __init__(self, database_url: str, pooled_url: str | None, *, seed: int) -> None:
        """``pooled_url``: every other writer goes there, and does not say its name; None: none does."""
        self._stop = threading.Event()
        self._threads = []
        for number in range(_WRITERS):
            chance = random.Random(f"{seed}:{number}")  # noqa: S311 -- not for secrets
            way = (database_url, NAME) if pooled_url is None or number % 2 == 0 else (pooled_url, None)
            thread = threading.Thread(target=self._write, args=(*way, chance), name=f"writer-{number}")
            self._threads.append(thread)
        #: Transactions rolled back on purpose.
        self.rolled_back = 0
        #: Transactions rolled back because their positions had become too old to be committed.
        self.too_late = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, url: str, name: str | None, chance: random.Random) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(url, application_name=name, connect_timeout=5) as connection:
                    if name is None:  # behind a pooler a prepared statement stays with a session that others get
                        connection.prepare_threshold = None
                    while not self._stop.is_set():
                        self._transaction(connection, chance)
                        self._stop.wait(chance.uniform(0, 2))
            except psycopg.OperationalError:  # a server is being restarted; what was committed is in the table
                self._stop.wait(0.5)

    def _transaction(self, connection: psycopg.Connection[Any], chance: random.Random) -> None:
        source, clock = chance.choice(SOURCES), ClientClock(chance)
        # Some take their time, or their number, long before they write, and commit long after.
        connection.execute("SELECT now()")
        self._stop.wait(chance.choice((0, 0, 0, 0.3, 2, 10)))
        for _ in range(chance.randint(1, 4)):
            bodies = [
                "bad" if chance.randrange(_BAD) == 0 else "x" * chance.randint(1, 50)
                for _ in range(chance.choice((1, 5, 50)))
            ]
            _insert(connection, source, bodies, clock)
            self._stop.wait(chance.uniform(0, 0.2))
        if chance.random() < 0.1:
            connection.rollback()
            self.rolled_back += 1
        elif clock.in_time():
            connection.commit()
        else:
            connection.rollback()
            self.too_late += 1


def _insert(connection: psycopg.Connection[Any], source: SoakSource, bodies: Sequence[str], clock: ClientClock) -> None:
    with connection.cursor() as cursor:
        if source.of_clients:
            statement = f"INSERT INTO {source.table} (body, {source.arrival}) VALUES (%s, %s)"  # noqa: S608 -- our own names
            cursor.executemany(statement, [(body, clock.position()) for body in bodies])
        else:
            cursor.executemany(f"INSERT INTO {source.table} (body) VALUES (%s)", [(body,) for body in bodies])  # noqa: S608 -- as above

"""Programs that write into the sources as such programs do: in transactions of any length, some rolled back."""

import random
import threading
from typing import Any, Self

import psycopg

#: Marks the writers' sessions, which the chaos spares: it is Batchord's that it cuts.
NAME = "soak-writer"
_WRITERS = 4
#: One body in so many cannot be predicted.
_BAD = 100


class Writers:
    """Insert into the tables until the block ends."""

    def __init__(self, database_url: str, tables: tuple[str, ...], *, seed: int) -> None:
        self._url = database_url
        self._tables = tables
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(random.Random(f"{seed}:{number}"),), name=f"writer-{number}")  # noqa: S311 -- not for secrets
            for number in range(_WRITERS)
        ]
        #: Transactions rolled back on purpose.
        self.rolled_back = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, chance: random.Random) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._url, application_name=NAME, connect_timeout=5) as connection:
                    while not self._stop.is_set():
                        self._transaction(connection, chance)
                        self._stop.wait(chance.uniform(0, 2))
            except psycopg.OperationalError:  # the server is being restarted; what was committed is in the table
                self._stop.wait(0.5)

    def _transaction(self, connection: psycopg.Connection[Any], chance: random.Random) -> None:
        table = chance.choice(self._tables)
        # Some take their time, or their number, long before they write, and commit long after.
        connection.execute("SELECT now()")
        self._stop.wait(chance.choice((0, 0, 0, 0.3, 2, 10)))
        for _ in range(chance.randint(1, 4)):
            bodies = [
                "bad" if chance.randrange(_BAD) == 0 else "x" * chance.randint(1, 50)
                for _ in range(chance.choice((1, 5, 50)))
            ]
            with connection.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {table} (body) VALUES (%s)", [(body,) for body in bodies])  # noqa: S608 -- our own name
            self._stop.wait(chance.uniform(0, 0.2))
        if chance.random() < 0.1:
            connection.rollback()
            self.rolled_back += 1
        else:
            connection.commit()

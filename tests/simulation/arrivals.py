"""The records of a simulated stack: their tables, the programs that write them, and the reader of the source."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
import psycopg
from psycopg import sql

from batchord.core.declared.source_reader import Fetched, SourceReader
from batchord.core.declared.sources import DECIDES_NOTHING, Source, SourceContext, Window
from batchord.core.errors import TransientError
from batchord.core.run.records import Position
from batchord.database.own import ADDS_NO_RECORD, MARK_READING

if TYPE_CHECKING:
    from tests.simulation.sessions import Session
    from tests.simulation.world import World

#: ``seq`` orders records by their arrival. ``at`` is the time by which windows choose them.
_TABLE = """
    CREATE TABLE IF NOT EXISTS public.{table} (
        id bigint PRIMARY KEY, seq bigint NOT NULL, at timestamptz NOT NULL, body text);
    CREATE SEQUENCE IF NOT EXISTS public.{table}_seq;
"""
_RUNNING = f"""
    SELECT 'vx:' || held.virtualtransaction AS name FROM pg_catalog.pg_locks AS held
    WHERE held.locktype = 'virtualxid' AND held.granted AND held.pid <> pg_catalog.pg_backend_pid()
      AND held.pid IN (SELECT pid FROM pg_catalog.pg_stat_activity
                       WHERE datname = current_database() AND backend_type = 'client backend')  -- no autovacuum
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks AS own
                      WHERE {ADDS_NO_RECORD} AND own.virtualtransaction = held.virtualtransaction)
"""  # noqa: S608 -- a constant
_READ = "BEGIN READ ONLY; " + MARK_READING


@dataclass(frozen=True, kw_only=True)
class Arrivals(Source):
    """Records of a table, in the order of their arrival."""

    key: str = "id"
    arrival: str | None = "seq"
    table: str
    windowed: bool = False
    world: "World" = field(repr=False, compare=False, metadata=DECIDES_NOTHING)

    @property
    def kind_digest(self) -> None:
        """No digest: the code of this class is part of the simulation. Computing one takes 10 ms."""
        return None

    @property
    def uses_window(self) -> bool:
        """See the base class."""
        return self.windowed

    def open(self, context: SourceContext) -> "ArrivalsReader":
        """See the base class."""
        return ArrivalsReader(self, context.window)


class ArrivalsReader(SourceReader):
    """Reads with statements of its own, each in a transaction of its own, as the SQL reader does."""

    def __init__(self, declared: Arrivals, window: Window | None) -> None:
        self._world = declared.world
        self._table = sql.Identifier("public", declared.table)
        self._window = window if declared.windowed else None
        self._shows_transactions = declared.settle is None

    @property
    def transactions(self) -> Self | None:
        """See the port."""
        return self if self._shows_transactions else None

    def greatest_position(self) -> Position | None:
        """See the port. Positions are numbers of a sequence, so none can be from the future."""
        rows = self._read("SELECT seq, id FROM {table} WHERE {window} ORDER BY seq DESC, id DESC LIMIT 1")
        return _positions(rows)[0] if rows else None

    def running_transactions(self) -> frozenset[str]:
        """See the port. The programs prepare none."""
        with self._reading() as session:
            return frozenset(row["name"] for row in session.execute(_RUNNING))

    def lies_beyond(self, position: Position) -> bool:  # noqa: ARG002 -- the port's
        """See the port."""
        return False

    def at_or_below(self, position: Position, limit: Position) -> bool:
        """See the port."""
        found = self._read(
            "SELECT FROM {table} WHERE (seq, id) = (%s, %s) AND (seq, id) <= (%s, %s)",
            [position.arrival, position.key, limit.arrival, limit.key],
        )
        return bool(found)

    def keys(self, *, after: Position | None, chunk_rows: int) -> Iterator[Sequence[Position]]:
        """See the port."""
        least = (0, 0) if after is None else (after.arrival, after.key)
        rows = self._read("SELECT seq, id FROM {table} WHERE {window} AND (seq, id) > (%s, %s) ORDER BY seq, id", least)
        for start in range(0, len(rows), chunk_rows):
            yield _positions(rows[start : start + chunk_rows])

    def positions(self, *, first: Position, last: Position, chunk_rows: int) -> Iterator[Sequence[Position]]:
        """See the port."""
        rows = self._between(first, last)
        for start in range(0, len(rows), chunk_rows):
            yield _positions(rows[start : start + chunk_rows])

    def rows(
        self,
        *,
        first: Position,
        last: Position,
        chunk_rows: int,
        columns: Sequence[str] | None = None,  # noqa: ARG002
    ) -> Iterator[Fetched]:
        """See the port."""
        rows = self._between(first, last)
        for start in range(0, len(rows), chunk_rows):
            part = rows[start : start + chunk_rows]
            keys = pd.Index([row["id"] for row in part], dtype=object, name="id")
            yield Fetched(pd.DataFrame({"body": [row["body"] for row in part]}, index=keys, dtype=object), [])

    def _between(self, first: Position, last: Position) -> "list[dict[str, Any]]":
        return self._read(
            "SELECT seq, id, body FROM {table} WHERE {window} AND (seq, id) BETWEEN (%s, %s) AND (%s, %s) "
            "ORDER BY seq, id",
            [first.arrival, first.key, last.arrival, last.key],
        )

    def _read(self, statement: str, values: Sequence[Any] = ()) -> "list[dict[str, Any]]":
        window = sql.SQL("true")
        if self._window is not None:
            start, end = map(sql.Literal, self._window)
            window = sql.SQL("at >= {start} AND at < {end}").format(start=start, end=end)
        query = sql.SQL(statement).format(table=self._table, window=window)  # type: ignore[arg-type]
        with self._reading() as session:
            return session.execute(query, values).fetchall()

    @contextmanager
    def _reading(self) -> "Iterator[Session]":
        try:
            with self._world.sessions.connection() as session:
                session.execute(_READ.encode())
                yield session
        except psycopg.OperationalError as error:
            raise TransientError(f"the source's database does not answer: {error}") from error


def _positions(rows: "Sequence[dict[str, Any]]") -> list[Position]:
    return [Position(arrival=row["seq"], key=row["id"]) for row in rows]


class Program:
    """A program that writes records: at once, or in a transaction that stays open for a while."""

    def __init__(self, world: "World", table: str) -> None:
        self._world = world
        self._table = sql.Identifier("public", table)
        self._sequence = f"public.{table}_seq"
        self._last = 0
        #: Transactions that are open, with the keys of their records.
        self.open: list[tuple[psycopg.Connection[Any], list[int]]] = []
        #: Keys that were ever committed, with all texts that their records had.
        self.committed: set[int] = set()

    def insert(self, bodies: Sequence[str | None], *, late: bool = False) -> list[int]:
        """Inserts records, and commits them unless they are to come ``late``. Returns their keys."""
        session = self._world.sessions.outside if not late else psycopg.connect(self._world.url, autocommit=True)
        if late:
            session.execute("BEGIN")
        keys = []
        for body in bodies:
            self._last += 1
            keys.append(self._last)
            statement = sql.SQL("INSERT INTO {} VALUES (%s, nextval(%s), %s, %s)").format(self._table)
            session.execute(statement, [self._last, self._sequence, self._world.now(), body])
        if late:
            self.open.append((session, keys))
        else:
            self.committed.update(keys)
        return keys

    def end(self, place: int, *, commit: bool) -> list[int]:
        """Ends a transaction that is open. Returns the keys of its records."""
        session, keys = self.open.pop(place)
        session.execute("COMMIT" if commit else "ROLLBACK")
        self._world.sessions.cut([session])
        if commit:
            self.committed.update(keys)
        return keys

    def move(self, key: int) -> None:
        """Gives a record a new position, as an update of its time would."""
        statement = sql.SQL("UPDATE {} SET seq = nextval(%s) WHERE id = %s").format(self._table)
        self._world.sessions.outside.execute(statement, [self._sequence, key])

    def delete(self, key: int) -> None:
        """Deletes a record."""
        self._world.sessions.outside.execute(sql.SQL("DELETE FROM {} WHERE id = %s").format(self._table), [key])

    def close(self) -> None:
        """Rolls back what is open."""
        while self.open:
            self.end(0, commit=False)


def table_statements(table: str) -> str:
    """The statements that create a table of records."""
    return _TABLE.format(table=table)

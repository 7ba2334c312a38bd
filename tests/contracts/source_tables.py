"""Records that sources read in tests: every kind of key and arrival, in every kind of place."""

import json
import os
import random
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

import pandas as pd
import pytest
import sqlalchemy as sa

from batchord.core.declared.source_reader import Fetched, SourceReader, in_order
from batchord.core.run.records import Position
from batchord.sources.listed import ListedReader, Record
from batchord.sources.sql import SqlSource
from batchord.sources.sql.author_query import AsDriverGave
from batchord.sources.sql.reader import SqlRecords, open_source

KEY_KINDS = ("bigint", "uuid", "text", "pair")
ARRIVAL_KINDS = (None, "timestamptz", "timestamp", "date", "bigint")
#: A person may run the contract against a further database, such as MariaDB, by giving its address.
FURTHER_DATABASE = os.environ.get("CONTRACT_SOURCE_URL")
DIALECTS = ("postgresql", "sqlite", *(("further",) if FURTHER_DATABASE else ()))
#: In place of an address: records that Python lists.
LISTED = "listed"
#: Where each kind of source has its records.
PLACES = (*DIALECTS, LISTED)
#: An address that must not be used: every table names its own.
NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"

TYPES = {
    "sqlite": {"bigint": "INTEGER", **dict.fromkeys(("uuid", "text", "timestamptz", "timestamp", "date"), "TEXT")},
    "mysql": {"uuid": "CHAR(36)", "text": "VARCHAR(80)", "timestamptz": "DATETIME(6)", "timestamp": "DATETIME(6)"},
}
TYPES["mariadb"] = TYPES["mysql"]
_START = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)


class Records(Protocol):
    """The records of one test, which has filled them in."""

    def opened(self) -> SourceReader:
        """What reads them. Settled at once: these tests are about order, not about open transactions."""

    def positions(self) -> list[Position]:
        """All positions in the place's own order: what a source is compared with."""

    def insert(self, *records: tuple[Any, Any]) -> None:
        """Adds records, as pairs of key and arrival."""

    def delete(self, *keys: Any) -> None:
        """Takes records away."""


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Records that Python lists."""

    records: dict[Any, Record] = field(default_factory=dict)

    def opened(self) -> SourceReader:
        """See the protocol."""
        return ListedReader(lambda: sorted(self.records.values(), key=lambda each: in_order(each.position)), key="k")

    def positions(self) -> list[Position]:
        """See the protocol: as Python sorts pairs."""
        records = self.records.values()
        pairs = sorted((each.key,) if each.arrival is None else (each.arrival, each.key) for each in records)
        return [Position(arrival=None if len(pair) == 1 else pair[0], key=pair[-1]) for pair in pairs]

    def insert(self, *records: tuple[Any, Any]) -> None:
        """See the protocol."""
        for key, arrival in records:
            self.records[key] = Record(key, {"body": f"text of {key}"}, arrival)

    def delete(self, *keys: Any) -> None:
        """See the protocol."""
        for key in keys:
            del self.records[key]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of one test, filled; its columns are ``k``, ``a`` (where there is an arrival) and ``body``."""

    url: str
    name: str
    key_kind: str
    arrival_kind: str | None

    def source(self, sql: str = "SELECT * FROM {table}") -> SqlSource:
        """The table as a source. Settled at once: these tests are about order, not about open transactions."""
        arrival = None if self.arrival_kind is None else "a"
        return SqlSource(sql.format(table=self.name), key="k", arrival=arrival, settle=timedelta(0), url=self.url)

    def opened(self, sql: str = "SELECT * FROM {table}") -> SqlRecords:
        """See the protocol."""
        return open_source(self.source(sql), default_url=NOWHERE)

    def delete(self, *keys: Any) -> None:
        """See the protocol."""
        table = sa.table(self.name, sa.column("k"))
        with connected(self.url) as connection:
            given = [sa.bindparam("k", key, type_=AsDriverGave(), unique=True) for key in keys]
            connection.execute(sa.delete(table).where(table.c.k.in_(given)))

    def positions(self, where: str = "1 = 1") -> list[Position]:
        """See the protocol: as the database orders them."""
        order = "k" if self.arrival_kind is None else "a, k"
        with connected(self.url) as connection:
            rows = connection.exec_driver_sql(f"SELECT {order} FROM {self.name} WHERE {where} ORDER BY {order}")  # noqa: S608
            return [Position(arrival=None if len(row) == 1 else row[0], key=row[-1]) for row in rows]

    def insert(self, *records: tuple[Any, Any]) -> None:
        """Adds records, as pairs of key and arrival."""
        columns: dict[str, sa.ColumnClause[Any]] = {"k": sa.column("k"), "body": sa.column("body")}
        if self.arrival_kind is not None:
            columns["a"] = sa.column("a")
        rows = [{"k": key, "a": arrival, "body": f"text of {key}"} for key, arrival in records]
        with connected(self.url) as connection:
            connection.execute(
                sa.insert(sa.table(self.name, *columns.values())),
                [{name: row[name] for name in columns} for row in rows],
            )


def connected(url: str) -> Any:
    """A writing connection of the test's own, committed at the end of the block."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)
    return engine.begin()


def make_table(url: str, key_kind: str, arrival_kind: str | None, *, rows: int = 57) -> Table:
    """A new table with records in random order, about ten for each arrival."""
    table = Table(url=url, name=f"records_{uuid.uuid4().hex}", key_kind=key_kind, arrival_kind=arrival_kind)
    types = TYPES.get(sa.make_url(url).get_backend_name(), {})
    columns = [f"k {types.get(key_kind, key_kind)}", "body VARCHAR(200)"]
    if arrival_kind is not None:
        columns.append(f"a {types.get(arrival_kind, arrival_kind)}")
    with connected(url) as connection:
        connection.exec_driver_sql(f"CREATE TABLE {table.name} ({', '.join(columns)})")
    chance = random.Random(7)  # noqa: S311
    as_text = sa.make_url(url).get_backend_name() == "sqlite"
    records = [
        (_KEYS[key_kind](number), arrival_of(arrival_kind, number // 10, as_text=as_text)) for number in range(rows)
    ]
    if sa.make_url(url).get_backend_name() != "postgresql" and key_kind == "uuid":
        records = [(str(key), arrival) for key, arrival in records]
    chance.shuffle(records)
    if records:
        table.insert(*records)
    return table


def make_records(place: str, key_kind: str, arrival_kind: str | None, *, rows: int = 57) -> Records:
    """As many records in random order in a place of a kind, or a database's address."""
    if place != LISTED:
        return make_table(place, key_kind, arrival_kind, rows=rows)
    lines = Lines()
    lines.insert(
        *((_KEYS[key_kind](each), arrival_of(arrival_kind, each // 10, as_text=False)) for each in range(rows))
    )
    return lines


def arrival_of(kind: str | None, step: int, *, as_text: bool) -> Any:
    """The arrival of a record, of a kind."""
    moment = _START + timedelta(hours=7 * step, microseconds=step)
    values = {
        None: None,
        "timestamptz": moment,
        "timestamp": moment.replace(tzinfo=None),
        "date": date(2026, 3, 1) + timedelta(days=step),
        "bigint": 2**53 + step,
    }
    value = values[kind]
    return str(value) if as_text and isinstance(value, date) else value


def _whole(number: int) -> int:
    # Sent as two, four and eight bytes.
    return (-5, 7, 40_000, 2**31, 2**53 + 1)[number % 5] + number


def _text(number: int) -> str:
    return ("", "a%b", "O'Neil", "Привет", "ß", "ss", "z😀", ":colon", "back\\slash", "Ä", "aa", "AA")[
        number % 12
    ] + str(number)


_KEYS: dict[str, Callable[[int], Any]] = {
    "bigint": _whole,
    "text": _text,
    #: Two columns; Python lists their text.
    "pair": lambda number: f"{number}:{_text(number)}",
    "uuid": lambda number: uuid.uuid5(uuid.NAMESPACE_OID, str(number)),
}


def address(kind: str, request: pytest.FixtureRequest, folders: pytest.TempPathFactory) -> str:
    """Of a database of its own for a dialect, or the name of another kind of place."""
    if kind == "postgresql":
        create: Callable[[str | None], str] = request.getfixturevalue("create_database")
        return create(None)
    if kind == "sqlite":
        return f"sqlite:///{folders.mktemp('source') / 'records.sqlite'}"
    return FURTHER_DATABASE if kind == "further" and FURTHER_DATABASE is not None else kind


def flat(chunks: Iterable[Sequence[Position]]) -> list[Position]:
    """All positions of all chunks."""
    return [position for chunk in chunks for position in chunk]


def keys_of(parts: Iterable[Fetched]) -> list[object]:
    """The keys of all frames, as the index gives them; nothing is rejected."""
    frames = frames_of(parts)
    return [key for frame in frames for key in frame.index]


def frames_of(parts: Iterable[Fetched]) -> list[pd.DataFrame]:
    """The frames of all parts, of which nothing is rejected."""
    frames = []
    for frame, rejections in parts:
        assert rejections == []
        frames.append(frame)
    return frames


def stored(position: Position) -> Position:
    """The position after a stay in the ledger."""
    return Position.from_json(json.loads(json.dumps(position.to_json())))

"""Records whose key is two columns, a whole number and a text, in every kind of database."""

import random
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from batchord.core.run.composite_keys import columns_of_key, joined
from batchord.core.run.records import Position
from batchord.sources.sql import SqlSource
from batchord.sources.sql.reader import SqlRecords, open_source
from tests.contracts.source_tables import NOWHERE, TYPES, arrival_of, connected

#: Texts that would run into each other without escapes.
_TEXTS = ("", ":", "a:b", "a\\", "\\:", "O'Neil", "Привет", "z😀", "100 %", "2026-05-01", "Ä", "tab\t")


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """A table of one test, filled; its columns are ``k``, ``l``, ``a`` (where there is an arrival) and ``body``."""

    url: str
    name: str
    has_arrival: bool

    def opened(self) -> SqlRecords:
        """See :class:`.Records`."""
        arrival = "a" if self.has_arrival else None
        sql = f"SELECT * FROM {self.name}"  # noqa: S608
        source = SqlSource(sql, key=["k", "l"], arrival=arrival, settle=timedelta(0), url=self.url)
        return open_source(source, default_url=NOWHERE)

    def positions(self) -> list[Position]:
        """See :class:`.Records`: the key's text is ordered by its characters, in whatever database."""
        with connected(self.url) as connection:
            rows = connection.exec_driver_sql(f"SELECT k, l{', a' * self.has_arrival} FROM {self.name}").all()  # noqa: S608
        pairs = sorted((*row[2:], joined([str(row[0]), row[1]])) for row in rows)
        return [Position(arrival=pair[0] if self.has_arrival else None, key=pair[-1]) for pair in pairs]

    def insert(self, *records: tuple[Any, Any]) -> None:
        """See :class:`.Records`; each key is the text of two columns."""
        rows: list[dict[str, Any]] = []
        for key, arrival in records:
            number, text = columns_of_key(key, 2) or ("", "")
            rows.append({"k": int(number), "l": text, "body": f"text of {key}"})
            if self.has_arrival:
                rows[-1]["a"] = arrival
        table = sa.table(self.name, *map(sa.column, rows[0]))
        with connected(self.url) as connection:
            connection.execute(sa.insert(table), rows)

    def delete(self, *keys: Any) -> None:
        """See :class:`.Records`."""
        table = sa.table(self.name, sa.column("k"), sa.column("l"))
        with connected(self.url) as connection:
            for key in keys:
                number, text = columns_of_key(key, 2) or ("", "")
                connection.execute(sa.delete(table).where(table.c.k == int(number), table.c.l == text))


def make_pairs(url: str, arrival_kind: str | None, *, rows: int = 57) -> Pairs:
    """A new table with records in random order, about ten for each arrival."""
    pairs = Pairs(url=url, name=f"records_{uuid.uuid4().hex}", has_arrival=arrival_kind is not None)
    backend = sa.make_url(url).get_backend_name()
    types = TYPES.get(backend, {})
    columns = [f"k {types.get('bigint', 'bigint')}", f"l {types.get('text', 'text')}", "body VARCHAR(200)"]
    if arrival_kind is not None:
        columns.append(f"a {types.get(arrival_kind, arrival_kind)}")
    with connected(url) as connection:
        connection.exec_driver_sql(f"CREATE TABLE {pairs.name} ({', '.join(columns)})")
    records = [
        (
            joined([str(number % 5 - 1), _TEXTS[number % len(_TEXTS)]]),
            arrival_of(arrival_kind, number // 10, as_text=backend == "sqlite"),
        )
        for number in range(rows)
    ]
    random.Random(7).shuffle(records)  # noqa: S311
    pairs.insert(*records)
    return pairs

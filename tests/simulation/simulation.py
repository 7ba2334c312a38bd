"""Plays schedules on a database of its own, one after the other."""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from psycopg.rows import tuple_row

from batchord.core.process.fault_points import decide_with
from tests.simulation.actors import current
from tests.simulation.arrivals import table_statements
from tests.simulation.chance import Chance
from tests.simulation.inline import everything_inline
from tests.simulation.questions import findings
from tests.simulation.schedule import play
from tests.simulation.sessions import Sessions
from tests.simulation.system import SHAPES
from tests.simulation.world import FAULTS, World

#: One schedule of this many has no faults at all.
_CALM = 10
#: How many times as frequent as usual a kind of fault may be.
_FREQUENCIES = (1, 1, 5)
#: The time that the ledger asks for is a setting of its session; nothing else of the ledger is replaced.
_CLOCK = """
    CREATE OR REPLACE FUNCTION batchord.now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN pg_catalog.current_setting('simulation.now')::timestamptz
"""
_EFFECTS = "CREATE TABLE IF NOT EXISTS public.effects (run_id uuid, step text)"
_TABLES = """
    SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_catalog.pg_tables
    WHERE schemaname IN ('batchord', 'public') AND tablename <> 'schema_version' ORDER BY name
"""
_RESULTS = """
    SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_catalog.pg_tables
    WHERE schemaname = 'batchord_results' ORDER BY name
"""


#: What stands before the simulation's files in an address.
_FOLDER = r'[^"\\ ]*(?=tests/simulation/)'


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of one schedule."""

    seed: int
    findings: tuple[str, ...]
    story: tuple[str, ...]
    #: The names of the decisions that were not harmless.
    taken: tuple[str, ...]
    deliveries: int
    #: A digest of the story and of every row of the ledger. The same seed gives the same one.
    digest: str
    #: The kinds of faults that the schedule had.
    faults: frozenset[str]


class Simulation:
    """A database that is emptied before each schedule. Use it in one thread."""

    def __init__(self, url: str) -> None:
        """``url``: the address of a database with the ledger's tables, for its owner; it is changed for good."""
        self._url = url
        self._sessions = Sessions(url)
        connection = self._sessions.outside
        connection.execute(_CLOCK)
        connection.execute(_EFFECTS)
        for table in ("records", "events"):
            connection.execute(table_statements(table).encode(), prepare=False)
        self._tables = [row["name"] for row in connection.execute(_TABLES)]
        # When the server gathers statistics must not decide about a plan, and so about the order of rows.
        for table in self._tables:
            connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)".encode(), prepare=False)

    def close(self) -> None:
        """Ends its sessions."""
        self._sessions.close()

    def run(self, seed: int, *, only: frozenset[str] | None = None, tells_rows: bool = False) -> Outcome:
        """Plays the schedule of a seed.

        ``only``: the names of the decisions that may be other than harmless; None: all. ``tells_rows``: whether the
        story shows what changed in the ledger.
        """
        self._empty()
        chance = Chance(seed=seed, only=only)
        world = World(
            url=self._url,
            sessions=self._sessions,
            chance=chance,
            faults=_faults(chance),
            shape=frozenset(_some(chance, SHAPES)),
            tells_rows=tells_rows,
        )
        found: list[str] = []
        with everything_inline(world), _watching(world):
            try:
                play(world)
            except Exception as error:  # noqa: BLE001 -- it is a finding
                found.append(f"{type(error).__name__}: {error}")
            try:
                found += findings(world)
                digest = self._digest(world)
            finally:
                world.close()
        return Outcome(
            seed=seed,
            findings=tuple(found),
            story=tuple(world.story),
            taken=tuple(chance.taken),
            deliveries=world.workers.deliveries,
            digest=digest,
            faults=frozenset(world.faults),
        )

    def _empty(self) -> None:
        sequences = "; ".join(f"ALTER SEQUENCE public.{table}_seq RESTART" for table in ("records", "events"))
        empty = f"TRUNCATE {', '.join(self._tables)} RESTART IDENTITY; {sequences}; SELECT batchord.show_results()"
        self._sessions.outside.execute(empty.encode(), prepare=False)
        for table in self._results():  # a plan makes them
            self._sessions.outside.execute(f"DROP TABLE {table}".encode(), prepare=False)

    def _results(self) -> list[str]:
        """The tables of predictions."""
        return [row["name"] for row in self._sessions.outside.execute(_RESULTS)]

    def _digest(self, world: World) -> str:
        texts = list(world.story)
        cursor = self._sessions.outside.cursor(row_factory=tuple_row)
        for table in [*self._tables, *self._results()]:
            rows = cursor.execute(
                f"SELECT to_jsonb(row) FROM {table} AS row".encode()  # noqa: S608 -- its own tables
            ).fetchall()
            texts += sorted(json.dumps(_without_transactions(row[0]), sort_keys=True) for row in rows)
        address = urlsplit(self._url)  # errors name the place of the server, which is another one in each run
        # An author's file is told as seen from Python's path, which other tests change.
        texts = [re.sub(_FOLDER, "", text) if "tests/simulation/" in text else text for text in texts]
        text = "\n".join(texts).replace(f"{address.hostname}:{address.port}", "").replace(address.path[1:], "")
        return hashlib.sha256(text.encode()).hexdigest()


def _faults(chance: Chance) -> dict[str, int]:
    """The kinds of faults that a schedule has: each with even chances, so that they also come alone or in few.

    Some of them are more frequent than usual: rare states need several of the same kind.
    """
    if not chance.happens("any-fault", 1 - 1 / _CALM):
        return {}
    return {kind: chance.choose(f"how-often/{kind}", _FREQUENCIES) for kind in _some(chance, FAULTS)}


def _some(chance: Chance, kinds: Sequence[str]) -> list[str]:
    return [kind for kind in kinds if chance.happens(f"some/{kind}", 0.5)]


@contextmanager
def _watching(world: World) -> Iterator[None]:
    """Lets the world decide at each fault point, and know the connections that steps open."""

    def connected(connection: Any, _record: Any) -> None:
        if (actor := current()) is not None:
            actor.sessions.add(connection)

    sa.event.listen(sa.pool.Pool, "connect", connected)
    decide_with(world.at)
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
        decide_with(None)
        sa.event.remove(sa.pool.Pool, "connect", connected)


def _without_transactions(value: Any) -> Any:
    """A row as JSON without the names of transactions, which the server gives, and without when they were given."""
    if isinstance(value, dict):
        return {name: _without_transactions(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_transactions(each) for each in value]
    return "vx" if isinstance(value, str) and value.startswith("vx:") else value

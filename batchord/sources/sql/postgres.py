"""What only PostgreSQL shows: its clock, its open transactions, and the types of columns.

Three statements, each with a snapshot of its own, read the greatest position, then the open transactions, then the
records. If the third does not see a record with a position at or below the first, the record's transaction is in the
second.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from batchord.core.errors import ConfigurationError
from batchord.core.run.records import LONGEST_KEY
from batchord.database.own import ADDS_NO_RECORD
from batchord.sources.sql.author_query import AsDriverGave

#: Type numbers that never change: ``pg_type.oid``.
TEXT, FLOAT4, DATE, TIMESTAMP, TIMESTAMPTZ, UUID_TYPE = 25, 700, 1082, 1114, 1184, 2950
#: int8, int2, int4, oid, float8, numeric, and times: values of these types rise if a sequence or a clock gives them.
#: Uuids and texts do not rise, unless the author says so with ``settle=``.
_RISING = frozenset({20, 21, 23, 26, 701, 1700, DATE, TIMESTAMP, TIMESTAMPTZ})

#: For int8, int2, int4 and uuid, the ledger writes the type's text; for text and varchar, up to a certain length.
_AS_TEXT = frozenset({20, 21, 23, UUID_TYPE})
_TEXTS = frozenset({25, 1043})
#: The names of the types that keys may have in a table of predictions, by their numbers. Not all of PostgreSQL's own
#: types: a text of another one may mean something else in the ledger's database, or nothing.
_KEY_TYPES = {
    17: "bytea",
    20: "bigint",
    21: "smallint",
    23: "integer",
    25: "text",
    26: "oid",
    650: "cidr",
    FLOAT4: "real",
    701: "double precision",
    829: "macaddr",
    869: "inet",
    1042: "bpchar",
    1043: "character varying",
    DATE: "date",
    1083: "time without time zone",
    TIMESTAMP: "timestamp without time zone",
    TIMESTAMPTZ: "timestamp with time zone",
    1186: "interval",
    1700: "numeric",
    UUID_TYPE: "uuid",
    3802: "jsonb",
}
#: Types whose values PostgreSQL cannot sort, by their numbers.
_WITHOUT_ORDER = {
    114: "json",
    142: "xml",
    600: "point",
    601: "lseg",
    602: "path",
    603: "box",
    604: "polygon",
    628: "line",
    718: "circle",
}

#: How far the frontier stays behind the clock if timestamps order records. A session fixes its ``now()`` a few
#: instructions before it takes the lock that shows its transaction. If the kernel suspends the process between the two,
#: its transaction is not visible yet. One second covers that; each run reads one more second of records.
CLOCK_MARGIN = timedelta(seconds=1)
#: How far a time zone may be ahead of UTC.
ZONES = timedelta(hours=15)

#: Every transaction holds the lock on its own number from its first statement on, even before it writes, and releases
#: it only after its commit is visible. Transactions that cannot write to this database are left out: those of the
#: server's own processes, which have no user, those of other databases, those in which sessions start, even while they
#: wait for a password, and Batchord's own. The last are recognised by a lock that only they hold, not by their session:
#: behind a pooler, the next transaction of a session may be anybody's. From most roles it is hidden what a session of
#: another role does: it may write, so it stays in. So does one that starts or ends at this moment: its transaction is
#: seen, but not yet, or no longer, whose it is.
_RUNNING = sa.text(f"""
    SELECT 'vx:' || held.virtualtransaction AS name, session.pid IS NOT NULL AS known
    FROM pg_catalog.pg_locks AS held
    LEFT JOIN pg_catalog.pg_stat_activity AS session ON session.pid = held.pid
    WHERE held.locktype = 'virtualxid' AND held.mode = 'ExclusiveLock' AND held.pid <> pg_backend_pid()
      AND (session.pid IS NULL OR session.datname = current_database() AND session.usesysid IS NOT NULL)
      AND session.backend_type IS DISTINCT FROM 'walsender'
      AND (session.backend_type IS DISTINCT FROM 'client backend'
           OR session.state NOT IN ('starting', 'idle'))  -- also without a state; before a command, it becomes active
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_locks AS own
          WHERE {ADDS_NO_RECORD} AND own.virtualtransaction = held.virtualtransaction)
""")  # noqa: S608 -- a constant
#: How often a session is looked at that is just starting or ending. Most start within one look's time.
_LOOKS = 10
#: Within a transaction, sessions are otherwise seen as they were at the first look.
_LOOK_AGAIN = sa.text("SELECT pg_catalog.pg_stat_clear_snapshot()")
_PREPARED = sa.text("""
    SELECT ARRAY(SELECT 'px:' || CAST(transaction AS text) FROM pg_catalog.pg_prepared_xacts
                 WHERE database = current_database()) AS names, pg_is_in_recovery() AS is_standby
""")
#: PostgreSQL first compiles a query that it expects to be long, which takes 50 ms, and for a subquery it expects too
#: much. The setting is for one transaction: a pooler would pass a session's setting to others. It is asked for first,
#: since not all databases that are like PostgreSQL have it.
DO_NOT_COMPILE = sa.text("""
    SELECT pg_catalog.set_config('jit', 'off', true) WHERE pg_catalog.current_setting('jit', true) IS NOT NULL
""")
#: The greatest value that the sequence of an identity or serial column has given; NULL if it has given none, if the
#: role may not see it, or if it does not rise.
_GIVEN = sa.text("""
    SELECT max(CASE WHEN pg_catalog.has_sequence_privilege(rule.seqrelid, 'SELECT, USAGE')
                    THEN pg_catalog.pg_sequence_last_value(rule.seqrelid) END)
    FROM pg_catalog.pg_depend AS owned JOIN pg_catalog.pg_sequence AS rule ON rule.seqrelid = owned.objid
    WHERE owned.classid = 'pg_catalog.pg_class'::regclass AND owned.refclassid = 'pg_catalog.pg_class'::regclass
      AND owned.refobjid = CAST(:table AS oid) AND owned.refobjsubid = :column AND owned.deptype IN ('a', 'i')
      AND rule.seqincrement > 0 AND NOT rule.seqcycle
""")
_STANDBY = sa.text("SELECT pg_is_in_recovery()")


def running(connection: sa.Connection) -> frozenset[str]:
    """Names of the transactions that may still write here.

    Each statement sees the locks as they are at that time, whatever its transaction's snapshot. As long as it cannot
    tell whose a transaction is, it looks again. A transaction that is gone by then has ended. Prepared transactions are
    read after the locks, so that a transaction that is prepared in between is seen at least once. Raises
    ConfigurationError on a standby.
    """
    still = _seen(connection)
    for _ in range(1, _LOOKS):
        if all(still.values()):
            break
        connection.execute(_LOOK_AGAIN)
        still = {name: known for name, known in _seen(connection).items() if name in still}
    last = connection.execute(_PREPARED).one()
    _refuse(is_standby=last.is_standby)
    return frozenset(still).union(last.names)


def _seen(connection: sa.Connection) -> dict[str, bool]:
    """The transactions that hold their locks now, by name, and whether it is known whose each is."""
    return {row.name: row.known for row in connection.execute(_RUNNING)}


def last_given(connection: sa.Connection, origin: tuple[int, int] | None) -> int | None:
    """The last value of the sequence that fills the column ``origin`` (table and number); None if unknown."""
    if origin is None:
        return None
    value: int | None = connection.scalar(_GIVEN, {"table": origin[0], "column": origin[1]})
    return value


def clock(connection: sa.Connection) -> datetime:
    """The server's time."""
    now: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return now


def refuse_standby(connection: sa.Connection) -> None:
    """Raises ConfigurationError on a standby, which does not show the transactions of its primary."""
    _refuse(is_standby=bool(connection.scalar(_STANDBY)))


def _refuse(*, is_standby: bool) -> None:
    if is_standby:
        raise ConfigurationError(
            "The source's database is a standby, which does not show the open transactions of its primary. "
            "Give the primary's address in url= or url_env=."
        )


def refuse_order(key: Sequence[str], leading: str, types: Mapping[str, Any]) -> None:
    """Raises ConfigurationError for a key or an arrival, the ``leading`` column, that cannot order records."""
    for name in (*key, leading):
        if kind := _WITHOUT_ORDER.get(types[name]):
            raise ConfigurationError(
                f"The source's column {name!r} is of type {kind}, which has no order: name another column, or write "
                f"CAST({name} AS text) AS {name} in the source's sql."
            )
    if types[leading] == FLOAT4 and [leading] != [*key]:
        raise ConfigurationError(
            f"The source's column {leading!r} is of type real, whose values do not compare equal to themselves "
            f"outside the database: write CAST({leading} AS numeric) AS {leading} in the source's sql."
        )


def longest_key(key_type: Any) -> int | None:
    """The most characters up to which the ledger's text for a key equals its text; 0 if the type's texts differ."""
    if key_type in _TEXTS:
        return LONGEST_KEY
    return None if key_type in _AS_TEXT else 0


def name_of_key_type(key_type: Any) -> str:
    """The type for a column with such keys in a table of predictions; ``text`` for a type that the table cannot have.

    Its length is left out: a column with fewer characters than the source's would refuse keys.
    """
    return _KEY_TYPES.get(key_type, "text")


def rises(leading_type: Any, settle: timedelta | None) -> bool:
    """Whether later positions are greater, so that the source can have a frontier."""
    return settle is not None or leading_type in _RISING


def cap(leading_type: Any, settle: timedelta | None) -> sa.ColumnElement[Any] | None:
    """The greatest value of the leading column that the frontier may move up to; None for no limit.

    A record with a date in the future must not move the frontier. A timestamp without a zone is compared with UTC; the
    settling time is subtracted only if the zone is known, see :func:`settles_by_clock`.
    """
    behind = settle if settles_by_clock(leading_type, settle) and settle is not None else CLOCK_MARGIN
    return _behind_the_clock(leading_type, behind)


def future(leading_type: Any) -> sa.ColumnElement[Any] | None:
    """The least value that is certainly in the future, whatever its zone; None for types that hold no time."""
    return _behind_the_clock(leading_type, -timedelta(minutes=1) if leading_type == TIMESTAMPTZ else -ZONES)


def _behind_the_clock(leading_type: Any, behind: timedelta) -> sa.ColumnElement[Any] | None:
    interval: sa.ColumnElement[Any] = sa.bindparam("behind", behind, type_=AsDriverGave())
    if leading_type == TIMESTAMPTZ:
        return sa.func.now().op("-")(interval)
    if leading_type == TIMESTAMP:
        return sa.func.localtimestamp().op("-")(interval)
    if leading_type == DATE:
        return sa.cast(sa.func.localtimestamp().op("-")(interval), sa.Date)
    return None


def settles_by_clock(leading_type: Any, settle: timedelta | None) -> bool:
    """Whether a capped position is already settled, so that its reader need not wait ``settle`` once more.

    Only a timestamp with a time zone is. One without may be hours ahead of UTC or behind it, and records still get a
    date until its day is over.
    """
    return settle is not None and leading_type == TIMESTAMPTZ

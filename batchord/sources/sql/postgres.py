"""What only PostgreSQL can tell: its clock, its open transactions, and the types of columns.

Positions are read first, then the open transactions, then the records: three statements, each with a
snapshot of its own. A record that the third does not see, with a position at or below the first, belongs
to a transaction in the second.
"""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from batchord.core.errors import ConfigurationError
from batchord.core.run.records import LONGEST_KEY
from batchord.database.own import ADDS_NO_RECORD
from batchord.sources.sql.statements import AsDriverGave

#: Type numbers that never change: ``pg_type.oid``.
FLOAT4, DATE, TIMESTAMP, TIMESTAMPTZ, UUID_TYPE = 700, 1082, 1114, 1184, 2950
#: int8, int2, int4, oid, float8, numeric, and times: types whose values rise when a sequence or a clock gives
#: them. Uuids and texts do not, unless somebody says so with ``settle=``.
_RISING = frozenset({20, 21, 23, 26, 701, 1700, DATE, TIMESTAMP, TIMESTAMPTZ})

#: int8, int2, int4 and uuid as text are what the ledger writes; so are text and varchar up to a length.
_AS_TEXT = frozenset({20, 21, 23, UUID_TYPE})
_TEXTS = frozenset({25, 1043})

#: How far the frontier stays behind the clock where timestamps order records. A session fixes its ``now()``
#: a few instructions before it takes the lock that shows its transaction; a process that the kernel sets
#: aside between the two would be missed. A second covers that, and only keeps the open window that much longer.
CLOCK_MARGIN = timedelta(seconds=1)
#: How far a zone may be ahead of UTC.
ZONES = timedelta(hours=15)

#: Every transaction holds the lock on its own number from its first statement on, even before it writes, and lets go
#: of it only after its commit is visible. Left out is what cannot write to this database: the server's own processes,
#: sessions of another database, and Batchord's own transactions, known by the lock that they alone hold. Never by a
#: session: behind a pooler the next transaction on it may be anybody's. A session that is hidden from this user may
#: write, and stays in.
_RUNNING = sa.text(f"""
    SELECT 'vx:' || held.virtualtransaction
    FROM pg_catalog.pg_locks AS held
    LEFT JOIN pg_catalog.pg_stat_activity AS session ON session.pid = held.pid
    WHERE held.locktype = 'virtualxid' AND held.mode = 'ExclusiveLock' AND held.pid <> pg_backend_pid()
      AND (session.datname IS NULL OR session.datname = current_database())
      AND (session.backend_type IS NULL OR session.backend_type NOT IN (
          'autovacuum launcher', 'autovacuum worker', 'walsender', 'checkpointer', 'background writer',
          'walwriter', 'archiver', 'startup'))
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_locks AS own
          WHERE {ADDS_NO_RECORD} AND own.virtualtransaction = held.virtualtransaction)
""")  # noqa: S608 -- a constant
_PREPARED = sa.text("""
    SELECT 'px:' || CAST(transaction AS text) FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()
""")
#: What PostgreSQL expects to be long it compiles first, which takes 50 ms, and of a subquery it expects too much. For
#: one transaction: a pooler would hand a session's setting to others. By way of the list of settings, since
#: PostgreSQL's likes do not all have this one.
DO_NOT_COMPILE = sa.text("""
    SELECT pg_catalog.set_config(name, 'off', true) FROM pg_catalog.pg_settings WHERE name = 'jit'
""")
#: The greatest value that the sequence of an identity or serial column has given; NULL for one that gave none, that a
#: role may not see, or that does not rise.
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

    Each statement sees locks as they are, whatever its transaction's snapshot. Locks first, prepared ones later:
    one that is prepared in between is then seen at least once.
    """
    return frozenset(connection.scalars(_RUNNING)) | prepared(connection)


def prepared(connection: sa.Connection) -> frozenset[str]:
    """Names of the prepared transactions of this database."""
    return frozenset(connection.scalars(_PREPARED))


def last_given(connection: sa.Connection, origin: tuple[int, int] | None) -> int | None:
    """The last value of the sequence that fills the column ``origin``, a table and a number; None: nobody knows."""
    if origin is None:
        return None
    value: int | None = connection.scalar(_GIVEN, {"table": origin[0], "column": origin[1]})
    return value


def clock(connection: sa.Connection) -> datetime:
    """The server's time."""
    now: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return now


def refuse_standby(connection: sa.Connection) -> None:
    """Raises ConfigurationError on a standby, whose own transactions say nothing about its primary's."""
    if connection.scalar(_STANDBY):
        raise ConfigurationError(
            "The source's database is a standby, which does not show the open transactions of its primary. "
            "Give the primary's address in url= or url_env=."
        )


def refuse_order(key: str, leading: str, leading_type: Any) -> None:
    """Raises ConfigurationError for a column that cannot order records. A key is compared as text, and always can."""
    if leading_type == FLOAT4 and leading != key:
        raise ConfigurationError(
            f"The source's column {leading!r} is of type real, whose values do not compare equal to themselves "
            f"outside the database: write CAST({leading} AS numeric) AS {leading} in the source's sql."
        )


def longest_key(key_type: Any) -> int | None:
    """Up to how many characters a key as text is the ledger's text for it; 0 for a type where it is not."""
    if key_type in _TEXTS:
        return LONGEST_KEY
    return None if key_type in _AS_TEXT else 0


def rises(leading_type: Any, settle: timedelta | None) -> bool:
    """Whether a later position is a greater one, so that a frontier can follow."""
    return settle is not None or leading_type in _RISING


def cap(leading_type: Any, settle: timedelta | None) -> sa.ColumnElement[Any] | None:
    """The greatest value of the leading column that the frontier may move up to; None for no limit.

    A record dated in the future must not take the frontier with it. A timestamp without a zone is compared
    with UTC; the settling time is taken off only where the zone is certain, see :func:`settles_by_clock`.
    """
    behind = settle if settles_by_clock(leading_type, settle) and settle is not None else CLOCK_MARGIN
    return _behind_the_clock(leading_type, behind)


def future(leading_type: Any) -> sa.ColumnElement[Any] | None:
    """The least value that is certainly of the future, whatever its zone; None for types that hold no time."""
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
    """Whether a capped position is settled as it is, so that nobody needs to wait ``settle`` once more.

    Only for a timestamp with its zone: one without may be hours ahead of UTC or behind it, and a date is
    still taken until its day is over.
    """
    return settle is not None and leading_type == TIMESTAMPTZ

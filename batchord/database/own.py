"""Marks Batchord's own transactions, so that they can be told from an application's: by a lock held to their end.

A session's name does not serve. Behind a transaction pooler, an application's transaction may run in a server session
that still has the name of one of our sessions, and a role may not be allowed to see names at all. A transaction's lock
ends with the transaction, nobody inherits it, and every role can see it.
"""

from typing import LiteralString

#: The first half of the lock's number, "batc" in ASCII. It is arbitrary, but no other program may use it.
LOCK_CLASS = 0x62617463
#: The second half for a transaction that reads a source.
_READS = 1
#: The second half for a transaction on the ledger that writes no prediction and no rejection.
_KEEPS_BOOKS = 2
#: The second half for one that writes some. Discovery waits for it as for an application's transaction: a source may be
#: a query over the predictions of another pipeline.
_WRITES_RESULTS = 3

_MARK = "SELECT pg_catalog.pg_advisory_xact_lock_shared"
MARK_READING: LiteralString = f"{_MARK}({LOCK_CLASS}, {_READS})"
MARK_BOOKKEEPING: LiteralString = f"{_MARK}({LOCK_CLASS}, {_KEEPS_BOOKS})"
MARK_RESULTS: LiteralString = f"{_MARK}({LOCK_CLASS}, {_WRITES_RESULTS})"

#: Conditions on a row of ``pg_locks`` with the alias ``own``: its transaction can add no record to a source, or it
#: works on the ledger. ``objsubid`` says that the lock's number has two halves.
_OWN = f"own.locktype = 'advisory' AND own.classid = {LOCK_CLASS} AND own.objsubid = 2 AND own.granted"
ADDS_NO_RECORD: LiteralString = f"{_OWN} AND own.objid IN ({_READS}, {_KEEPS_BOOKS})"
ON_THE_LEDGER: LiteralString = f"{_OWN} AND own.objid IN ({_KEEPS_BOOKS}, {_WRITES_RESULTS})"

#: For a transaction of the ledger, its owner or the superuser. Authors may create functions in ``public``. If one
#: fitted a call better than PostgreSQL's own function, it would run with the rights of the caller.
LOOK_NOWHERE: LiteralString = "SET LOCAL search_path = pg_catalog, pg_temp"
#: The session's search path without the ledger's schema; NULL if that schema is not in the path. See
#: :mod:`batchord.ledger.roles.search_path`.
PATH_WITHOUT_LEDGER: LiteralString = """
    (SELECT CASE WHEN pg_catalog.bool_or(name = 'batchord') THEN coalesce(
        pg_catalog.string_agg(pg_catalog.quote_ident(name), ', ' ORDER BY place) FILTER (WHERE name <> 'batchord'),
        'public') END
     FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS looked (name, place))
"""
#: For a single transaction: behind a pooler, a session's setting would affect other clients.
LOOK_BESIDE_LEDGER: LiteralString = (
    "SELECT pg_catalog.set_config('search_path', path, true) "  # noqa: S608 -- a constant
    f"FROM {PATH_WITHOUT_LEDGER} AS mended (path) WHERE path IS NOT NULL"
)

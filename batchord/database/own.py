"""How Batchord's own transactions are told from an application's: by a lock that they hold to their end.

A name would not do. Behind a transaction pooler an application's transaction runs on a server session that still
carries the name that one of ours gave it, and a role may not be allowed to see names at all. A lock of a transaction
is let go with it, nobody inherits it, and every role sees it.
"""

from typing import LiteralString

#: The first half of the lock's number, "batc" in ASCII. Any constant would do that no other program takes.
LOCK_CLASS = 0x62617463
#: The second half: a transaction that reads a source.
_READS = 1
#: A transaction on the ledger that writes no prediction and no rejection.
_KEEPS_BOOKS = 2
#: A transaction on the ledger that writes some. Discovery waits for it as for an application's: a source may be a query
#: over the predictions of another pipeline.
_WRITES_RESULTS = 3

_MARK = "SELECT pg_catalog.pg_advisory_xact_lock_shared"
MARK_READING: LiteralString = f"{_MARK}({LOCK_CLASS}, {_READS})"
MARK_BOOKKEEPING: LiteralString = f"{_MARK}({LOCK_CLASS}, {_KEEPS_BOOKS})"
MARK_RESULTS: LiteralString = f"{_MARK}({LOCK_CLASS}, {_WRITES_RESULTS})"

#: Conditions on a row of ``pg_locks`` that is called ``own``: a transaction that can add no record to a source, and one
#: on the ledger. ``objsubid`` says that the lock's number has two halves.
_OWN = f"own.locktype = 'advisory' AND own.classid = {LOCK_CLASS} AND own.objsubid = 2 AND own.granted"
ADDS_NO_RECORD: LiteralString = f"{_OWN} AND own.objid IN ({_READS}, {_KEEPS_BOOKS})"
ON_THE_LEDGER: LiteralString = f"{_OWN} AND own.objid IN ({_KEEPS_BOOKS}, {_WRITES_RESULTS})"

#: For one transaction of the ledger's, its owner's or the superuser's: authors may create in ``public``, and a function
#: of theirs that fits a call better than PostgreSQL's own would be executed with the rights of whoever calls.
LOOK_NOWHERE: LiteralString = "SET LOCAL search_path = pg_catalog, pg_temp"
#: The schemas that the session looks through for a name without one, but the ledger's; NULL where that is none of them.
#: See :mod:`batchord.ledger.roles.search_path`.
PATH_WITHOUT_LEDGER: LiteralString = """
    (SELECT CASE WHEN pg_catalog.bool_or(name = 'batchord') THEN coalesce(
        pg_catalog.string_agg(pg_catalog.quote_ident(name), ', ' ORDER BY place) FILTER (WHERE name <> 'batchord'),
        'public') END
     FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS looked (name, place))
"""
#: For one transaction: behind a pooler a session's setting would reach other clients.
LOOK_BESIDE_LEDGER: LiteralString = (
    "SELECT pg_catalog.set_config('search_path', path, true) "  # noqa: S608 -- a constant
    f"FROM {PATH_WITHOUT_LEDGER} AS mended (path) WHERE path IS NOT NULL"
)

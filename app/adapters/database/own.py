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
#: A transaction on the ledger that writes no prediction and no rejection. Those that do are not marked: a source may
#: be a query over the predictions of another pipeline.
_KEEPS_BOOKS = 2

MARK_READING: LiteralString = f"SELECT pg_catalog.pg_advisory_xact_lock_shared({LOCK_CLASS}, {_READS})"
MARK_BOOKKEEPING: LiteralString = f"SELECT pg_catalog.pg_advisory_xact_lock_shared({LOCK_CLASS}, {_KEEPS_BOOKS})"

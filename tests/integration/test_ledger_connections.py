"""Connections to the ledger that the server has cut."""

import time
from contextlib import ExitStack

import psycopg

from batchord.ledger.connection import Connections

#: Waits for their ends, too.
_CUT_ALL = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'batchord-ledger%'
"""


def test_connections_that_were_cut_together_are_found_lost_together(database_url: str) -> None:
    """The next transaction waits for one new connection, not for each of the old ones in turn."""
    connections = Connections(database_url, max_size=4)
    with ExitStack() as opened:
        for _ in range(4):
            opened.enter_context(connections.transaction()).execute("SELECT 1")
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute(_CUT_ALL)
    started = time.monotonic()
    with connections.transaction() as connection:
        assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}
    # One by one it takes about 1 + 2 + 4 seconds.
    assert time.monotonic() - started < 5
    connections.close()

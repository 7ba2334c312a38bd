"""A batch that stands still in its transaction, at a place of the drill's choice."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.drills.drill import Drill
from tests.waiting import wait_until

_HOLD = """
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock_shared(60); RETURN NULL; END $$;
"""
_HELD = """
    SELECT query FROM pg_locks JOIN pg_stat_activity AS session USING (pid)
    WHERE locktype = 'advisory' AND classid = 0 AND objid = 60 AND NOT granted AND datname = current_database()
"""
#: Where the transaction of the third batch stands still, and how its statement begins: when its rows are there, when
#: deferred constraints are checked, and at its last statement, after which only COMMIT follows.
PLACES = {
    "rows": ("TRIGGER hold AFTER INSERT ON moods FOR EACH ROW WHEN (NEW.id = 60)", "COPY"),
    "constraints": (
        "CONSTRAINT TRIGGER hold AFTER INSERT ON moods DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.id = 60)",
        "SET CONSTRAINTS ALL IMMEDIATE",
    ),
    "progress": (
        "TRIGGER hold AFTER UPDATE OF predicted ON batchord.shards FOR EACH ROW WHEN (NEW.predicted = 60)",
        "UPDATE batchord.shards SET predicted",
    ),
}


@contextmanager
def held(drill: Drill, place: str) -> "Iterator[psycopg.Connection[Any]]":
    """A run whose third batch stands still in its transaction, until the yielded session lets go of its lock."""
    trigger, begins = PLACES[place]
    drill.cluster.sql(f"{_HOLD} CREATE {trigger} EXECUTE FUNCTION hold()")
    with psycopg.connect(drill.cluster.database_url, autocommit=True) as session:
        session.execute("SELECT pg_advisory_lock(60)")
        drill.cluster.start("control", "worker", "beat")
        drill.run()
        ((query,),) = wait_until(lambda: session.execute(_HELD).fetchall(), description="the third batch stands still")
        assert " ".join(query.split()).startswith(begins)
        yield session

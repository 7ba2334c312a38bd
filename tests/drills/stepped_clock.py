"""The machine's clock steps back an hour.

Instead of the clock, which this machine's other processes go by too, everything that was written by it is moved: all
times that are kept lie an hour ahead then, which is the same for whoever compares them with the clock.
"""

import json
import signal
from datetime import timedelta
from typing import Any

import redis
from redbeat.decoder import RedBeatJSONDecoder, RedBeatJSONEncoder

from tests.drills.drill import Drill

HOUR = timedelta(hours=1)
_BEAT = "batchord:beat:"
_LEDGER = ["runs", "steps", "shards", "frontiers", "alerts"]
_TIMES = """
    SELECT format('UPDATE %%I.%%I SET ', table_schema, table_name)
           || string_agg(format('%%1$I = %%1$I + interval ''1 hour''', column_name), ', ')
    FROM information_schema.columns
    WHERE data_type = 'timestamp with time zone'
      AND (table_schema = 'batchord' AND table_name = ANY(%s) OR table_schema = 'batchord_results')
    GROUP BY table_schema, table_name
"""


def step_back(drill: Drill) -> None:
    """Moves PostgreSQL's, Redis's, the workers' and beat's times; what arrives from now on must be dated by hand."""
    cluster = drill.cluster
    # Beat would write an entry between our reading and our writing it.
    cluster.kill("beat", signal.SIGSTOP)
    cluster.sql("; ".join(update for (update,) in cluster.sql(_TIMES, _LEDGER)))
    with redis.Redis.from_url(cluster.environment["BATCHORD_REDIS_URL"], decode_responses=True) as store:
        for key in store.scan_iter():
            _move(store, key)
    drill.injected()
    cluster.kill("beat", signal.SIGCONT)


def _move(store: Any, key: str) -> None:
    """Moves the time at which a key expires, and the times in it: Kombu's of deliveries, RedBeat's of runs."""
    left = store.pttl(key)
    if left > 0:
        store.pexpire(key, left + int(HOUR.total_seconds() * 1000))
    if key in ("unacked_index", f"{_BEAT}:schedule"):
        for member in store.zrange(key, 0, -1):
            store.zincrby(key, HOUR.total_seconds(), member)
    elif key.startswith(_BEAT) and store.type(key) == "hash":
        meta = json.loads(store.hget(key, "meta"), cls=RedBeatJSONDecoder)
        meta["last_run_at"] += HOUR
        store.hset(key, "meta", json.dumps(meta, cls=RedBeatJSONEncoder))

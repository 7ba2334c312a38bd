"""The chord that a good engineer writes by hand: 40 ranges, COPY into a staging table, ON CONFLICT, counts as results.

``celery -A benchmarks.systems.chord_good worker`` runs it; ``python -m benchmarks.systems.chord_good`` measures it.
"""

import json
import os
import sys
import time
from functools import cache
from itertools import pairwise
from typing import Any

import psycopg
from celery import Celery, chord

_RANGES = 40

app = Celery(broker=os.environ["PEER_REDIS_URL"], backend=os.environ["PEER_REDIS_URL"])
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)


@cache
def _model(location: str) -> Any:
    import skops.io

    return skops.io.load(location)


@app.task(name="good.predict")  # type: ignore[untyped-decorator]
def predict(first: int, last: int, model: str, database_url: str) -> int:
    """Reads, predicts and writes a range. Returns how many records it had."""
    loaded = _model(model)
    with psycopg.connect(database_url) as connection:
        texts = connection.execute("SELECT id, body FROM texts WHERE id BETWEEN %s AND %s", [first, last]).fetchall()
        shares = loaded.predict_proba([body for _, body in texts])
        labels = loaded.classes_[shares.argmax(axis=1)].tolist()
        connection.execute("CREATE TEMP TABLE staging (LIKE out_good) ON COMMIT DROP")
        with connection.cursor().copy("COPY staging (id, label, score) FROM STDIN") as copy:
            for (key, _), label, score in zip(texts, labels, shares.max(1).tolist(), strict=True):
                copy.write_row((key, label, score))
        connection.execute("INSERT INTO out_good SELECT * FROM staging ON CONFLICT DO NOTHING")
    return len(texts)


@app.task(name="good.total")  # type: ignore[untyped-decorator]
def total(counts: list[int]) -> int:
    """The number of all records."""
    return sum(counts)


def main(*, model: str, database_url: str, records: int, **_: Any) -> None:
    """Sends the chord and waits for its body."""
    started = time.perf_counter()
    ends = [records * number // _RANGES for number in range(_RANGES + 1)]
    header = [predict.s(first + 1, last, model, database_url) for first, last in pairwise(ends)]
    if chord(header)(total.s()).get(timeout=600) != records:
        raise RuntimeError("records are missing")
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))

"""The chord that people write first: one task for each 1,000 ids, the results in the chord's body.

``celery -A benchmarks.systems.chord_naive worker`` runs it; ``python -m benchmarks.systems.chord_naive`` measures it.
"""

import json
import os
import sys
import time
from functools import cache
from typing import Any

import psycopg
from celery import Celery, chord

_IDS = 1_000

app = Celery(broker=os.environ["PEER_REDIS_URL"], backend=os.environ["PEER_REDIS_URL"])
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)


@cache
def _model(location: str) -> Any:
    import skops.io

    return skops.io.load(location)


@app.task(name="naive.predict")  # type: ignore[untyped-decorator]
def predict(ids: list[int], model: str, database_url: str) -> list[tuple[int, str, float]]:
    """Predicts records. The predictions are the task's result."""
    loaded = _model(model)
    with psycopg.connect(database_url) as connection:
        texts = connection.execute("SELECT id, body FROM texts WHERE id = ANY(%s)", [ids]).fetchall()
    shares = loaded.predict_proba([body for _, body in texts])
    labels = loaded.classes_[shares.argmax(axis=1)].tolist()
    return [(key, label, score) for (key, _), label, score in zip(texts, labels, shares.max(1).tolist(), strict=True)]


@app.task(name="naive.save")  # type: ignore[untyped-decorator]
def save(parts: list[list[tuple[int, str, float]]], database_url: str) -> int:
    """Writes all predictions. Returns their number."""
    rows = [row for part in parts for row in part]
    with psycopg.connect(database_url) as connection:
        connection.cursor().executemany(
            "INSERT INTO out_naive (id, label, score) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", rows
        )
    return len(rows)


def main(*, model: str, database_url: str, records: int, **_: Any) -> None:
    """Sends the chord and waits for its body."""
    started = time.perf_counter()
    ids = list(range(1, records + 1))
    header = [predict.s(ids[at : at + _IDS], model, database_url) for at in range(0, records, _IDS)]
    chord(header)(save.s(database_url)).get(timeout=600)
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))

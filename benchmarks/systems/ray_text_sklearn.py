"""Ray Data over the texts: read_sql, a pool of actors with the model, COPY from the same actors.

It runs in an environment of its own, see ``requirements/peers.txt``.
"""

import json
import logging
import sys
import time
from typing import Any

import psycopg
import ray

_ROWS = 5_000


class Predict:
    """Holds the model, predicts batches and writes them."""

    def __init__(self, model: str, database_url: str) -> None:
        import skops.io

        self._model = skops.io.load(model)
        self._connection = psycopg.connect(database_url)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Predicts and writes a batch with the columns ``id`` and ``body``. Returns the ids."""
        shares = self._model.predict_proba(batch["body"])
        labels = self._model.classes_[shares.argmax(axis=1)].tolist()
        with self._connection.cursor().copy("COPY out_ray (id, label, score) FROM STDIN") as copy:
            for row in zip(batch["id"].tolist(), labels, shares.max(axis=1).tolist(), strict=True):
                copy.write_row(row)
        self._connection.commit()
        return {"id": batch["id"]}


def main(*, model: str, database_url: str, processes: int, records: int, **_: Any) -> None:
    """Measures one execution. Ray is up before; each execution has its own actors, which load the model within it."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # One CPU more than the actors take, for reading the table.
    ray.init(num_cpus=processes + 1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    started = time.perf_counter()
    texts = ray.data.read_sql("SELECT id, body FROM texts", lambda: psycopg.connect(database_url))
    arguments = {"model": model, "database_url": database_url}
    pool = ray.data.ActorPoolStrategy(size=processes)
    done = texts.repartition(records // _ROWS or 1).map_batches(
        Predict, fn_constructor_kwargs=arguments, batch_size=_ROWS, compute=pool, num_cpus=1
    )
    count = sum(len(batch["id"]) for batch in done.iter_batches(batch_size=None))
    seconds = time.perf_counter() - started
    if count != records:
        raise RuntimeError(f"{count} of {records} records")
    print(seconds)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))

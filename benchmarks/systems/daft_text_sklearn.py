"""Daft over the texts: read_sql in partitions, a class as UDF in each process, COPY from these processes.

It runs in an environment of its own, see ``requirements/peers.txt``.
"""

import json
import os
import sys
import time
from typing import Any

import daft
import psycopg
import sqlalchemy

_ROWS = 5_000


@daft.cls(use_process=True, max_concurrency=os.cpu_count())
class Predict:
    """Holds the model, predicts batches and writes them."""

    def __init__(self, model: str, database_url: str) -> None:
        import skops.io

        self._model = skops.io.load(model)
        self._connection = psycopg.connect(database_url)

    @daft.method.batch(return_dtype=daft.DataType.int64(), batch_size=_ROWS)
    def written(self, keys: daft.Series, bodies: daft.Series) -> list[int]:
        """Predicts and writes a batch. Returns the ids of its records."""
        ids: list[int] = keys.to_pylist()
        shares = self._model.predict_proba(bodies.to_pylist())
        labels = self._model.classes_[shares.argmax(axis=1)].tolist()
        with self._connection.cursor().copy("COPY out_daft (id, label, score) FROM STDIN") as copy:
            for row in zip(ids, labels, shares.max(axis=1).tolist(), strict=True):
                copy.write_row(row)
        self._connection.commit()
        return ids


def main(*, model: str, database_url: str, records: int, **_: Any) -> None:
    """Measures one execution. Its processes, one for each core, load the model within the measured time."""
    engine = sqlalchemy.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    predict = Predict(model, database_url)
    started = time.perf_counter()
    texts = daft.read_sql(
        "SELECT id, body FROM texts", engine.connect, partition_col="id", num_partitions=max(1, records // _ROWS)
    )
    written = texts.select(predict.written(daft.col("id"), daft.col("body")).alias("id")).to_pydict()
    seconds = time.perf_counter() - started
    if len(written["id"]) != records:
        raise RuntimeError(f"{len(written['id'])} of {records} records")
    print(seconds)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))

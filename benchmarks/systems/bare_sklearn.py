"""The bare loop over texts with scikit-learn: a server-side cursor, predict_proba, COPY."""

from typing import Any

import psycopg

from benchmarks.systems.processes import main

_ROWS = 5_000


def load(*, model: str, **_: Any) -> Any:
    """Loads the pipeline of estimators."""
    import skops.io

    return skops.io.load(model)


def work(model: Any, part: int, parts: int, /, *, database_url: str, **_: Any) -> None:
    """Predicts range number ``part`` of the ``parts`` ranges of the table ``texts``."""
    with psycopg.connect(database_url) as reading, psycopg.connect(database_url) as writing:
        ((records,),) = reading.execute("SELECT max(id) FROM texts").fetchall()
        first, last = records * part // parts + 1, records * (part + 1) // parts
        with reading.cursor(name="texts") as cursor:
            cursor.execute("SELECT id, body FROM texts WHERE id BETWEEN %s AND %s ORDER BY id", [first, last])
            while texts := cursor.fetchmany(_ROWS):
                shares = model.predict_proba([body for _, body in texts])
                chosen = shares.argmax(axis=1)
                labels = model.classes_[chosen].tolist()
                scores = shares.max(axis=1).tolist()
                with writing.cursor().copy("COPY out_bare (id, label, score) FROM STDIN") as copy:
                    for (key, _), label, score in zip(texts, labels, scores, strict=True):
                        copy.write_row((key, label, score))
                writing.commit()


if __name__ == "__main__":
    main(load, work)

"""The loop that most people write first: transformers' own pipeline, batches of 32 in the order of the table."""

from typing import Any

import psycopg

from benchmarks.systems.processes import main


def load(*, model: str, threads: int, max_tokens: int, **_: Any) -> Any:
    """Loads the pipeline with its default settings, in one process with all threads."""
    import torch
    from transformers import pipeline

    torch.set_num_threads(threads)
    classifier = pipeline("text-classification", model=model, device="cpu")
    classifier.tokenizer.model_max_length = max_tokens
    return classifier


def work(classifier: Any, part: int, parts: int, /, *, database_url: str, **_: Any) -> None:
    """Predicts the whole table ``texts``."""
    del part, parts
    with psycopg.connect(database_url) as connection:
        texts = connection.execute("SELECT id, body FROM texts ORDER BY id").fetchall()
        results = classifier([body for _, body in texts], batch_size=32, truncation=True)
        with connection.cursor().copy("COPY out_usual (id, label, score) FROM STDIN") as copy:
            for (key, _), result in zip(texts, results, strict=True):
                copy.write_row((key, result["label"], result["score"]))


if __name__ == "__main__":
    main(load, work)

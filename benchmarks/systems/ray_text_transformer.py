"""Ray Data over texts with a transformer: a pool of actors, batches sorted by length, COPY from the actors.

It runs in an environment of its own, see ``requirements/peers.txt``.
"""

import json
import logging
import sys
import time
from typing import Any

import psycopg
import ray

#: Texts in one call, and tokens in one pass with padding.
_ROWS, _TOKENS = 512, 512


class Predict:
    """Holds the tokenizer and the model, predicts batches and writes them."""

    def __init__(self, model: str, database_url: str, max_tokens: int) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        torch.set_num_threads(1)
        self._tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
        self._model = AutoModelForSequenceClassification.from_pretrained(model, local_files_only=True).eval()
        self._connection = psycopg.connect(database_url)
        self._max_tokens = max_tokens

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Predicts and writes a batch with the columns ``id`` and ``body``. Returns the ids."""
        import torch

        encoded = self._tokenizer(batch["body"].tolist(), truncation=True, max_length=self._max_tokens)["input_ids"]
        order = sorted(range(len(encoded)), key=lambda row: -len(encoded[row]))
        start = 0
        with (
            torch.inference_mode(),
            self._connection.cursor().copy("COPY out_ray (id, label, score) FROM STDIN") as copy,
        ):
            while start < len(order):
                chosen = order[start : start + max(1, _TOKENS // len(encoded[order[start]]))]
                start += len(chosen)
                padded = self._tokenizer.pad({"input_ids": [encoded[row] for row in chosen]}, return_tensors="pt")
                scores, labels = self._model(**padded).logits.softmax(-1).max(-1)
                for row, label, score in zip(chosen, labels.tolist(), scores.tolist(), strict=True):
                    copy.write_row((int(batch["id"][row]), self._model.config.id2label[label], score))
        self._connection.commit()
        return {"id": batch["id"]}


def main(*, model: str, database_url: str, processes: int, records: int, max_tokens: int, **_: Any) -> None:
    """Measures one execution. Ray is up before; each execution has its own actors, which load the model within it."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # One CPU more than the actors take, for reading the table.
    ray.init(num_cpus=processes + 1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    started = time.perf_counter()
    texts = ray.data.read_sql("SELECT id, body FROM texts", lambda: psycopg.connect(database_url))
    arguments = {"model": model, "database_url": database_url, "max_tokens": max_tokens}
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

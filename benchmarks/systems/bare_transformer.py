"""The best bare loop over texts with a transformer: one query, sorted by length, even batches, COPY at the end."""

from typing import Any

import psycopg

from benchmarks.systems.processes import main

#: Tokens of a batch, with padding. This number is the fastest on a CPU, see docs/benchmarks.md.
_TOKENS = 512


def load(*, model: str, **_: Any) -> Any:
    """Loads the tokenizer and the classifier, with one thread."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    return tokenizer, AutoModelForSequenceClassification.from_pretrained(model, local_files_only=True).eval()


def work(loaded: Any, part: int, parts: int, /, *, database_url: str, max_tokens: int, **_: Any) -> None:
    """Predicts the records of the table ``texts`` with ``id % parts == part``."""
    import torch

    tokenizer, model = loaded
    with psycopg.connect(database_url) as connection:
        texts = connection.execute("SELECT id, body FROM texts WHERE id %% %s = %s", [parts, part]).fetchall()
        encoded = tokenizer([body for _, body in texts], truncation=True, max_length=max_tokens)["input_ids"]
        order = sorted(range(len(texts)), key=lambda row: -len(encoded[row]))
        rows: list[tuple[int, str, float]] = []
        start = 0
        with torch.inference_mode():
            while start < len(order):
                chosen = order[start : start + max(1, _TOKENS // len(encoded[order[start]]))]
                start += len(chosen)
                batch = tokenizer.pad({"input_ids": [encoded[row] for row in chosen]}, return_tensors="pt")
                shares = model(**batch).logits.softmax(-1)
                scores, labels = shares.max(-1)
                rows += [
                    (texts[row][0], model.config.id2label[label], score)
                    for row, label, score in zip(chosen, labels.tolist(), scores.tolist(), strict=True)
                ]
        with connection.cursor().copy("COPY out_bare (id, label, score) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


if __name__ == "__main__":
    main(load, work)

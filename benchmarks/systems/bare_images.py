"""The bare loop over images: files of a local folder, Pillow, the processor, small batches, COPY."""

from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.systems.processes import main

#: The fastest number on a CPU among 1, 2, 4, 8, 16 and 32: see docs/benchmarks.md.
_ROWS = 4


def load(*, model: str, **_: Any) -> Any:
    """Loads the processor and the classifier, with one thread."""
    import torch
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    torch.set_num_threads(1)
    processor = AutoImageProcessor.from_pretrained(model, local_files_only=True, backend="pil")
    classifier = AutoModelForImageClassification.from_pretrained(model, local_files_only=True).eval()
    return processor, classifier.to(memory_format=torch.channels_last)


def work(
    loaded: Any, part: int, parts: int, /, *, database_url: str, folder: str, output: str, least: int, **_: Any
) -> None:
    """Predicts the records of the table ``photos`` with ``id % parts == part``.

    ``least``: the least pixels of the shorter side at which a JPEG is decoded; 0: its full size.
    """
    import torch
    from PIL import Image

    processor, model = loaded
    rows: list[tuple[int, str, float]] = []
    with psycopg.connect(database_url) as connection:
        records = connection.execute("SELECT id, location FROM photos WHERE id %% %s = %s", [parts, part]).fetchall()
        for start in range(0, len(records), _ROWS):
            chosen = records[start : start + _ROWS]
            files = [Path(folder, location.rpartition("/")[2]) for _, location in chosen]
            pictures = [Image.open(file) for file in files]
            if least:
                for picture in pictures:
                    picture.draft("RGB", (least, least))
            pixels = processor(images=[picture.convert("RGB") for picture in pictures], return_tensors="pt")
            with torch.inference_mode():
                inputs = pixels["pixel_values"].to(memory_format=torch.channels_last)
                scores, labels = model(pixel_values=inputs).logits.softmax(-1).max(-1)
            rows += [
                (key, model.config.id2label[label], score)
                for (key, _), label, score in zip(chosen, labels.tolist(), scores.tolist(), strict=True)
            ]
        into = sql.SQL("COPY {} (id, label, score) FROM STDIN").format(sql.Identifier(f"out_{output}"))
        with connection.cursor().copy(into) as copy:
            for row in rows:
                copy.write_row(row)


if __name__ == "__main__":
    main(load, work)

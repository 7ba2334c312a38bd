"""The texts that the benchmarks predict: real texts, in the same order every time."""

import random
from itertools import cycle, islice

from demo.files import demo_file
from demo.texts import news, reviews

#: Lines before the first record of an Orange file, and the column that holds the words.
_ORANGE_HEADER, _QUOTE = 4, 5
#: Shares of kinds in the mixed texts: lines of dialogue, reviews of one sentence, news stories.
_MIXED = (("dialogue", 0.4), ("reviews", 0.4), ("news", 0.2))


def dialogue() -> list[str]:
    """61,563 lines of dialogue with a median of 11 words. Raises ConfigurationError if the data are missing."""
    path = demo_file("orangecontrib/text/datasets/friends-transcripts.tab")
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[_ORANGE_HEADER:]
    quotes = (line.split("\t", _QUOTE)[_QUOTE].strip() for line in lines if line.count("\t") >= _QUOTE)
    return [quote for quote in quotes if quote]


def short_texts(count: int) -> list[str]:
    """Shuffled lines of dialogue and reviews. After some 74,000, they begin again."""
    texts = dialogue() + reviews()["body"].tolist()
    random.Random(7).shuffle(texts)  # noqa: S311 (no secret)
    return list(islice(cycle(texts), count))


def mixed_texts(count: int) -> list[str]:
    """Texts of very different lengths, most of them short, like comments and mails."""
    chance = random.Random(7)  # noqa: S311 (no secret)
    kinds = {"dialogue": dialogue(), "reviews": reviews()["body"].tolist(), "news": news()["body"].tolist()}
    names, shares = zip(*_MIXED, strict=True)
    return [chance.choice(kinds[chance.choices(names, shares)[0]]) for _ in range(count)]

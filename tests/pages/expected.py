"""Whether a command printed what its page shows."""

import re

#: Values that differ from one run to the next → the word in their place, on the page and in the output.
_VARYING = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "ID"),
    (r"@[0-9a-f]{12}(\+[0-9a-f]{8})?\b", "@DIGEST"),
    (r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,}(-[0-9a-f]{4})?\b", "ID"),
    (r"\b(\d{4}-)?\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?(\.\d+)?)?([+-]\d\d(:?\d\d)?|Z| UTC)?", "TIME"),
    (r"\b\d\d:\d\d:\d\d(\.\d+)?\b", "TIME"),
    (r"\b\d+(\.\d+)? ?(s|ms|seconds?|milliseconds)\b", "SECONDS"),
    (r"\b(127\.0\.0\.1|localhost):\d+\b", "LOOPBACK"),
    (r"(?<![\w.])(/home/\w+|/Users/\w+|~)(?=/)", "HOME"),
)
_ANYTHING = "…"


def comes_in(shown: str, output: str, *, home: str) -> bool:
    """Whether the lines that a page shows come in the output, one right after the other.

    Ids, digests, times, seconds, ports and the reader's ``home`` may differ, and so may blanks. ``…`` stands for any
    text of a line, and a line of its own for any number of lines.
    """
    lines = _lines(shown)
    printed = "\n".join(_lines(output.replace(home, "~"))) + "\n"
    pattern = "".join(r"(?:.*\n)*?" if line == _ANYTHING else f"{_pattern(line)}\n" for line in lines)
    return re.search(rf"^{pattern}", printed, re.MULTILINE) is not None


def _lines(text: str) -> list[str]:
    """The lines that are not blank, with a word in place of each varying value."""
    for varying, word in _VARYING:
        text = re.sub(varying, word, text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _pattern(line: str) -> str:
    return ".*?".join(map(re.escape, line.split(_ANYTHING)))

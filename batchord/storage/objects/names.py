"""Which texts can be names of objects and files."""

import unicodedata

#: Control characters, halves of surrogate pairs (bytes that are not UTF-8), separators of lines and paragraphs.
_NO_NAME = frozenset({"Cc", "Cs", "Zl", "Zp"})


def is_object_name(text: str) -> bool:
    """Whether the text is UTF-8 without control characters and line breaks.

    ``str.isprintable`` alone would also refuse wide spaces and the characters that join an emoji.
    """
    return text.isprintable() or _NO_NAME.isdisjoint(map(unicodedata.category, text))

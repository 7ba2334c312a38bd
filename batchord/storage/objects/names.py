"""Which texts can be names of objects and files."""

import unicodedata

#: Controls, halves of surrogate pairs (bytes that are not UTF-8), separators of lines and paragraphs.
_NO_NAME = frozenset({"Cc", "Cs", "Zl", "Zp"})


def is_object_name(text: str) -> bool:
    """Whether the text holds no control character and no line break, and is UTF-8.

    Not ``str.isprintable``: it takes wide spaces and what joins an emoji together for no part of a name.
    """
    return text.isprintable() or _NO_NAME.isdisjoint(map(unicodedata.category, text))

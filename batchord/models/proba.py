"""``proba=``: which probability a classifier gives."""

from typing import Any

#: For the probabilities of all classes; any other text names a class.
ALL_CLASSES = "all"


def problems_of_proba(proba: Any) -> list[str]:
    """What is wrong with the option, one sentence each."""
    if proba is None or (isinstance(proba, str) and proba):
        return []
    return [
        f"proba={proba!r} must be a text: give 'all', or a class as its label is written, such as proba={str(proba)!r}"
    ]

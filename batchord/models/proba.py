"""``proba=``: which probability a classifier returns."""

from typing import Any

#: Stands for the probabilities of all classes. Any other text names a class.
ALL_CLASSES = "all"


def problems_of_proba(proba: Any) -> list[str]:
    """The problems of the option, one sentence each."""
    if proba is None or (isinstance(proba, str) and proba):
        return []
    return [
        f"proba={proba!r} must be a text: give 'all', or a class as its label is written, such as proba={str(proba)!r}"
    ]

"""Batchord's Celery application: ``celery -A app worker|beat|flower|call``, the command line, Flower, the local stack.

Where Batchord is installed, this package is called ``batchord.app``: it takes no other ``app``'s name. So it imports
``batchord`` and, relatively, itself.
"""

from typing import Never

import batchord


def __getattr__(name: str) -> Never:
    """Says where an author's names are, to a file that was written for Batchord 0.1."""
    if name in batchord.__all__:
        raise ImportError(f"`from app import {name}` worked in Batchord 0.1. Write `from batchord import {name}`.")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

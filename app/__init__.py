"""Batchord's Celery application: ``celery -A app worker|beat|flower|call``, the command line, Flower, the local stack.

In an installed Batchord, this package is called ``batchord.app``, so that it takes the name of no other ``app``.
Therefore it imports only ``batchord`` and, relatively, itself.
"""

from typing import Never

import batchord


def __getattr__(name: str) -> Never:
    """Tells a file that was written for Batchord 0.1 where an author's names are now."""
    if name in batchord.__all__:
        raise ImportError(f"`from app import {name}` worked in Batchord 0.1. Write `from batchord import {name}`.")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

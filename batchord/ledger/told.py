"""Texts for people, as they may be kept: the ledger is read by many, and what it holds is told on."""

from typing import overload

from batchord.core.run.records import storable
from batchord.output.masking import mask


@overload
def told(text: str) -> str: ...
@overload
def told(text: str | None) -> str | None: ...
def told(text: str | None) -> str | None:
    """An error, a cause, a detail or a message, without secrets and as PostgreSQL can hold it."""
    return None if text is None else storable(mask(text))

"""Masks texts before the ledger stores them: many people read the ledger, and alerts quote it."""

from typing import overload

from batchord.core.run.records import storable
from batchord.output.masking import mask


@overload
def masked_text(text: str) -> str: ...
@overload
def masked_text(text: str | None) -> str | None: ...
def masked_text(text: str | None) -> str | None:
    """An error, a detail or a message without secrets, in characters that PostgreSQL can store."""
    return None if text is None else storable(mask(text))

"""Keys that a person may have meant by a key that nobody knows."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.steps import Predict
from batchord.core.errors import BatchordError
from batchord.core.run.records import record_key
from batchord.flow.upkeep.audit import ALL_TIME

if TYPE_CHECKING:
    from batchord.flow.parts import Parts

#: The most keys that are named.
_MOST = 5


def near_keys(parts: "Parts", pipeline: str, steps: Sequence[Predict], key: str) -> list[str]:
    """Keys of the ledger or of a source that differ from ``key`` only in how people write them."""
    variants = list(dict.fromkeys(each for each in _variants(key) if each and each != key))
    near: dict[str, None] = {}
    for step in steps:
        near |= dict.fromkeys(
            each.record_key for each in parts.ledger.provenance.outcomes(pipeline, step.name, variants)
        )
        try:
            near |= dict.fromkeys(record_key(at.key) for at in _source(parts, step).find(variants))
        except BatchordError:  # the record's own search has told why
            continue
    return list(near)[:_MOST]


def _source(parts: "Parts", step: Predict) -> SourceReader:
    return parts.open_source(step.source, ALL_TIME if step.source.uses_window else None)


def _variants(key: str) -> Iterator[str]:
    """Without quotes, blanks, separators of thousands and leading zeros; in small and in capital letters."""
    bare = key.strip().strip("\"'`").strip()
    yield from (bare, bare.lower(), bare.upper())
    digits = bare.replace(",", "").replace("_", "").replace(" ", "")
    if digits.lstrip("+-").isdecimal():
        yield from (digits, digits.lstrip("+"), digits.lstrip("0+") or "0")
    yield bare.replace(", ", ",")
    if not bare.startswith("("):
        yield f"({bare.replace(', ', ',')})"

"""Tells a person about records that no run can read: those beyond a LIMIT, or whose arrival or key is NULL.

A run does not look for them: without an index it would have to read the whole source. The daily audit reads it anyway.
"""

from contextlib import suppress
from datetime import timedelta

from batchord.core.declared.sources import Window
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.run.records import record_key
from batchord.flow.parts import OpenSource

#: How long the question may take. A source that cannot answer in this time is left to the audit.
_LIMIT = timedelta(seconds=2)
_MOST_KEYS = 3
_LIMITED = (
    "The source's query has a LIMIT: no run sees a record beyond it, and the audit does not either. Leave it out; "
    "`batchord try --limit` chooses a few records."
)


def unplaced_warnings(open_source: OpenSource, declared: Predict, window: Window | None) -> list[str]:
    """One sentence each for a LIMIT of the source, and for an arrival and a key that are NULL.

    NULLs are left out if the source cannot answer, also because of a value of a record: who reads it reports that.
    """
    found = []
    with suppress(TransientError, ConfigurationError):
        found = list(open_source(declared.source.within(_LIMIT), window).unplaced(most=_MOST_KEYS))
    sentences = [_LIMITED] if declared.source.has_limit else []
    for column, keys in found:
        such_as = f", such as {', '.join(map(record_key, sorted(keys, key=str)))}" if keys else ""
        sentences.append(
            f"The source has records whose {column} is NULL{such_as}: no run predicts them. Correct their rows, or "
            "leave them out of its query; `batchord audit` counts them."
        )
    return sentences

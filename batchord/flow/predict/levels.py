"""The index of the model's frame if several columns are the key: a level for each, with the source's values."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from batchord.core.run.composite_keys import values_of
from batchord.core.run.records import Scalar

if TYPE_CHECKING:
    import pandas as pd


def with_levels(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The frame as a person sees it: with a level in its index for each of several columns of the key.

    Everywhere else a record's key is one text, in the index as well. The name of such an index is a tuple.
    """
    names = frame.index.name
    return frame.set_axis(levels(frame.index, names)) if isinstance(names, tuple) else frame


def levels(keys: Iterable[Scalar], names: Sequence[str]) -> "pd.MultiIndex":
    """An index with a level for each of the keys' columns."""
    import pandas as pd

    rows = [values_of(key, len(names)) for key in keys]
    columns = [pd.Index([row[place] for row in rows]) for place in range(len(names))]
    return pd.MultiIndex.from_arrays(columns, names=list(names))


def name_of_index(frame: "pd.DataFrame") -> str:
    """The name of the key for people."""
    names = frame.index.name
    return ", ".join(names) if isinstance(names, tuple) else str(names)

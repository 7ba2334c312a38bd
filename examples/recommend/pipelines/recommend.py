"""What to offer next: when a session ends, its user gets a new list of items that they have not had."""

from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from batchord import FunctionModel, Pipeline, SqlSource, every

#: Raise it before every new fit and with every change below. It is in the file's name, so no fit overwrites another.
VERSION = "1"
FACTORS = f"factors-{VERSION}.npz"
TOP = 10


class Fitted(NamedTuple):
    """The arrays that train.py writes, all three in the order of the items."""

    #: Ids, ascending.
    item_ids: np.ndarray
    #: One row per item.
    factors: np.ndarray
    #: How many users had the item.
    popularity: np.ndarray


@cache
def fitted() -> Fitted:
    """The factors. Each process reads them once, and only when it needs the model: beat loads this file, too."""
    with np.load(FACTORS, allow_pickle=False) as file:
        return Fitted(**{name: file[name] for name in Fitted._fields})


def recommend(frame: pd.DataFrame) -> pd.DataFrame:
    """The model as Batchord calls it."""
    return offer(frame, fitted())


def offer(frame: pd.DataFrame, model: Fitted) -> pd.DataFrame:
    """The best item (``label``) and the best ten (``items``, ``scores``) for each user, for all rows at once."""
    items, factors, popularity = model
    had = frame["item_ids"].reset_index(drop=True).explode().dropna().astype("int64")
    places = np.searchsorted(items, had).clip(max=len(items) - 1)
    in_fit = items[places] == had  # an item may be newer than the fit
    listened = np.zeros((len(frame), len(items)), dtype=np.float32)
    listened[had.index[in_fit], places[in_fit]] = 1
    scores = listened @ factors @ factors.T
    scores[~listened.any(axis=1)] = popularity / popularity.max()  # a user without any items gets the popular ones
    scores[listened > 0] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
    best_scores = np.take_along_axis(scores, best, axis=1)
    allowed = np.isfinite(best_scores)  # a user who has had nearly all items gets fewer
    offered = [items[places[keep]].tolist() for places, keep in zip(best, allowed, strict=True)]
    return pd.DataFrame(
        {
            "label": [str(ids[0]) if ids else None for ids in offered],
            "items": offered,
            "scores": [values[keep].round(4).tolist() for values, keep in zip(best_scores, allowed, strict=True)],
        },
        index=frame.index,
    )


#: One row per session, with all items that its user has had until then. Each session is predicted once, so a user gets
#: a new list after each session. With key="user_id", each user would get only one list for ever.
SESSIONS = """
SELECT session.id, session.user_id, history.item_ids
FROM sessions AS session
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT item_id) AS item_ids
    FROM sessions AS earlier CROSS JOIN LATERAL unnest(earlier.item_ids) AS item_id
    WHERE earlier.user_id = session.user_id AND earlier.id <= session.id
) AS history
WHERE session.ended_at >= timestamptz '2026-05-01 00:00+00'  -- earlier sessions are history
"""

recommendations = Pipeline(
    "recommend",
    description="What to offer next (matrix factors)",
    schedule=every(minutes=5),
    source=SqlSource(SESSIONS, key="id"),
    model=FunctionModel(recommend, version=VERSION),
)

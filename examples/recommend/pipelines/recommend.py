"""What to offer next: each session that ends gives its user a new list of items that they have not had."""

from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from batchord import FunctionModel, Pipeline, SqlSource, every

#: Raise it before every new fit and with every change below. It names the file, too, so that no fit overwrites another.
VERSION = "1"
FACTORS = f"factors-{VERSION}.npz"
TOP = 10


class Fitted(NamedTuple):
    """What train.py writes; all three in the same order."""

    #: Ids, ascending.
    item_ids: np.ndarray
    #: One row per item.
    factors: np.ndarray
    #: How many users had the item.
    popularity: np.ndarray


@cache
def fitted() -> Fitted:
    """The factors, read once in each process, and not before a model is needed: beat reads this file as well."""
    with np.load(FACTORS, allow_pickle=False) as file:
        return Fitted(**{name: file[name] for name in Fitted._fields})


def recommend(frame: pd.DataFrame) -> pd.DataFrame:
    """The model as Batchord calls it."""
    return offer(frame, fitted())


def offer(frame: pd.DataFrame, model: Fitted) -> pd.DataFrame:
    """Of each user the best item (``label``) and the best ten (``items``, ``scores``), for all rows at once."""
    items, factors, popularity = model
    had = frame["item_ids"].reset_index(drop=True).explode().dropna().astype("int64")
    places = np.searchsorted(items, had).clip(max=len(items) - 1)
    known = items[places] == had  # an item may be newer than the fit
    seen = np.zeros((len(frame), len(items)), dtype=np.float32)
    seen[had.index[known], places[known]] = 1
    scores = seen @ factors @ factors.T
    scores[~seen.any(axis=1)] = popularity / popularity.max()  # of this user nothing is known: what many like
    scores[seen > 0] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
    best_scores = np.take_along_axis(scores, best, axis=1)
    left = np.isfinite(best_scores)  # who has had nearly all is offered fewer
    offered = [items[places[keep]].tolist() for places, keep in zip(best, left, strict=True)]
    return pd.DataFrame(
        {
            "label": [str(ids[0]) if ids else None for ids in offered],
            "items": offered,
            "scores": [values[keep].round(4).tolist() for values, keep in zip(best_scores, left, strict=True)],
        },
        index=frame.index,
    )


#: One row per session, with all that its user has had up to then. A session is predicted once, a user as often as
#: they come back: with key="user_id" nobody would ever get a second list.
SESSIONS = """
SELECT session.id, session.user_id, history.item_ids
FROM sessions AS session
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT item_id) AS item_ids
    FROM sessions AS earlier CROSS JOIN LATERAL unnest(earlier.item_ids) AS item_id
    WHERE earlier.user_id = session.user_id AND earlier.id <= session.id
) AS history
WHERE session.ended_at >= timestamptz '2026-05-01 00:00+00'  -- what came before is history
"""

recommendations = Pipeline(
    "recommend",
    description="What to offer next (matrix factors)",
    schedule=every(minutes=5),
    source=SqlSource(SESSIONS, key="id"),
    model=FunctionModel(recommend, version=VERSION),
)

"""Fits item factors on the sessions in the table, prints how good they are, and writes ``factors-VERSION.npz``."""

import numpy as np
import pandas as pd
import psycopg
from scipy.sparse import csr_matrix
from sklearn.decomposition import TruncatedSVD

from batchord.settings import settings
from pipelines import recommend

DIMENSIONS = 16


def sessions() -> pd.DataFrame:
    """One row per session and item, in the order of the sessions."""
    query = "SELECT id, user_id, unnest(item_ids) AS item_id FROM sessions ORDER BY id"
    with psycopg.connect(settings().database_roles().source) as connection:
        return pd.DataFrame(connection.execute(query).fetchall(), columns=["id", "user_id", "item_id"])


def fitted(listened: pd.DataFrame) -> recommend.Fitted:
    """Factors of the items. Items that the same users listen to get similar factors."""
    pairs = listened[["user_id", "item_id"]].drop_duplicates()
    users, _ = pd.factorize(pairs["user_id"])
    items, places = np.unique(pairs["item_id"], return_inverse=True)
    matrix = csr_matrix((np.ones(len(pairs), dtype=np.float32), (users, places)))
    factors = TruncatedSVD(DIMENSIONS, random_state=0).fit(matrix).components_.T
    popularity = np.bincount(places).astype(np.float32)
    return recommend.Fitted(item_ids=items, factors=factors.astype(np.float32), popularity=popularity)


def hits(wanted: "pd.Series[list[int]]", offered: "pd.Series[list[int]]") -> float:
    """The share of the wanted items that were offered."""
    pairs = list(zip(wanted, offered, strict=True))
    return sum(len(set(want) & set(offer)) for want, offer in pairs) / sum(len(want) for want, _ in pairs)


def main() -> None:
    """Fits without each user's last session to measure the model, then with it to store it."""
    listened = sessions()
    last = listened["id"] == listened.groupby("user_id")["id"].transform("max")
    before = listened[~last]
    had = before.groupby("user_id")["item_id"].agg(list)
    latest = listened[last & listened["user_id"].isin(had.index)]
    # Items that a user has had before are never offered, so they do not count.
    new = latest.merge(before[["user_id", "item_id"]].drop_duplicates(), how="left", indicator=True)
    wanted = new[new["_merge"] == "left_only"].groupby("user_id")["item_id"].agg(list)
    histories = pd.DataFrame({"item_ids": had.loc[wanted.index]})

    model = fitted(before)
    offered = recommend.offer(histories, model)["items"]
    popular = model.item_ids[np.argsort(-model.popularity, kind="stable")]
    usual = histories["item_ids"].map(lambda ids: [item for item in popular if item not in set(ids)][: recommend.TOP])
    print(f"share of {sum(map(len, wanted))} new items in last sessions, held out, that were among the ten offered:")
    print(f"  model        {hits(wanted, offered):.3f}")
    print(f"  most popular {hits(wanted, usual):.3f}")

    np.savez(recommend.FACTORS, allow_pickle=False, **fitted(listened)._asdict())  # plain arrays, no pickle


if __name__ == "__main__":
    main()

"""Made-up listeners: ``python data.py history`` makes the table, ``python data.py sessions 200`` adds new sessions.

Each user likes a few of the genres. Each item belongs to one genre and is more or less popular. Everything follows from
one seed.
"""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg

from batchord.settings import settings

USERS, ITEMS, GENRES = 600, 240, 12
HISTORY = 4000
MINUTES_APART = 40
SERVICE_BEGINS = datetime(2026, 5, 1, tzinfo=UTC)

TABLE = """
DROP TABLE IF EXISTS sessions;
CREATE TABLE sessions (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id  integer NOT NULL,
    item_ids integer[] NOT NULL,  -- the items that the user listened to
    ended_at timestamptz NOT NULL
);
CREATE INDEX ON sessions (user_id, id);
"""


def simulated() -> Iterator[tuple[int, list[int], datetime]]:
    """Endless sessions, in the order of their ends: user, items, end."""
    random = np.random.default_rng(2026)
    genre = random.integers(GENRES, size=ITEMS)
    popularity = random.pareto(1.5, ITEMS) + 0.3
    taste = random.dirichlet(np.full(GENRES, 0.15), USERS)
    chance = taste[:, genre] * popularity + 0.002
    chance /= chance.sum(axis=1, keepdims=True)
    ended = SERVICE_BEGINS - HISTORY * timedelta(minutes=MINUTES_APART)
    while True:
        user = int(random.integers(USERS))
        size = 1 + random.poisson(3)
        items = random.choice(ITEMS, size=size, replace=False, p=chance[user])
        yield user + 1, [int(item) + 1001 for item in items], ended
        ended += timedelta(minutes=MINUTES_APART)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("history", help="make the table anew, with all sessions before the service begins")
    commands.add_parser("sessions", help="add the sessions that follow").add_argument("count", type=int)
    arguments = parser.parse_args()
    with psycopg.connect(settings().database_roles().author) as connection:
        if arguments.command == "history":
            connection.execute(TABLE)
        ((present,),) = connection.execute("SELECT count(*) FROM sessions").fetchall()
        count = HISTORY if arguments.command == "history" else arguments.count
        new = [session for session, place in zip(simulated(), range(present + count), strict=False) if place >= present]
        with connection.cursor().copy("COPY sessions (user_id, item_ids, ended_at) FROM STDIN") as copy:
            for session in new:
                copy.write_row(session)
    print(f"{len(new)} sessions, until {new[-1][2]:%Y-%m-%d %H:%M}")


if __name__ == "__main__":
    main()

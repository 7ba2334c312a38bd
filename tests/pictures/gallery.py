"""What pictures of the pages show: a small shop whose pipelines have run for a while."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_REVIEWS = """
    import threading
    from batchord import FunctionModel, Pipeline, SqlSource, cron

    def sentiment(frame):
        threading.Event().wait(0.0008 * len(frame))
        good = frame["body"].str.count("great|love|quick|again")
        score = (0.5 + 0.22 * good - 0.2 * frame["body"].str.count("late|broken|poor|never")).clip(0.02, 0.98)
        score = score + (frame["body"].str.len() % 17 - 8) / 100
        label = score.map(lambda each: "positive" if each > 0.6 else "negative" if each < 0.4 else "neutral")
        return label.to_frame("label").assign(score=score.clip(0, 1))

    reviews = Pipeline(
        "reviews",
        schedule=cron("*/30 * * * *"),
        source=SqlSource("SELECT id, body, created_at FROM reviews", key="id", arrival="created_at"),
        model=FunctionModel(sentiment, version="7", text="body"),
    )
"""
_TICKETS = """
    import threading
    from batchord import FunctionModel, Pipeline, Predict, SqlSource, cron

    TEAMS = {"invoice": "billing", "password": "accounts", "parcel": "delivery"}

    def team(body):
        if body.startswith("Bom dia"):
            raise ValueError("The model reads English and German. This text is Portuguese.")
        return next((team for word, team in TEAMS.items() if word in body), "other")

    def route(frame):
        threading.Event().wait(0.002 * len(frame))
        return frame["body"].map(team)

    tickets = Pipeline(
        "tickets",
        schedule=cron("0 * * * *"),
        steps=[
            Predict(
                "route",
                source=SqlSource("SELECT id, body, created_at FROM tickets", key="id", arrival="created_at"),
                model=FunctionModel(route, version="2026-05", text="body"),
            )
        ],
    )
"""
_ORDERS = """
    import threading
    from batchord import Bash, Branch, FunctionModel, Pipeline, Predict, Python, Sql, SqlSource, cron

    def risk(frame):
        threading.Event().wait(0.002 * len(frame))
        score = (frame["amount"] / 900 + frame["items"] / 40).clip(0.01, 0.99)
        label = score.map(lambda each: "review" if each > 0.7 else "accept")
        return label.to_frame("label").assign(score=score)

    def limit():
        return {"share": 0.1}

    def choose(run):
        return "ask" if run["risk"].share("review") > run["limit"]["share"] else "release"

    orders = Pipeline(
        "orders",
        schedule=cron("0 */2 * * *"),
        steps=[
            Sql("clean", "UPDATE orders SET items = 1 WHERE items < 1"),
            Python("limit", limit),
            Predict(
                "risk",
                source=SqlSource("SELECT id, amount, items, created_at FROM orders", key="id", arrival="created_at"),
                model=FunctionModel(risk, version="12"),
                shard_rows=40,
                after="clean",
            ),
            Branch("choose", choose, after=["risk", "limit"]),
            Bash("ask", "echo a person looks at the orders of this run", after="choose"),
            Sql("release", "UPDATE orders SET released = true WHERE NOT released", after="choose"),
            Bash(
                "publish",
                'if [ -e "{folder}/no-warehouse" ]; then echo "the warehouse does not answer" >&2; exit 7; fi',
                after=["ask", "release"],
            ),
        ],
    )
"""
_PHOTOS = """
    import threading
    from batchord import FunctionModel, Pipeline, SqlSource

    def blur(frame):
        threading.Event().wait(0.003 * len(frame))
        return frame["sharpness"].rsub(1)

    photos = Pipeline(
        "photos",
        source=SqlSource("SELECT id, sharpness, created_at FROM photos", key="id", arrival="created_at"),
        model=FunctionModel(blur, version="3"),
    )
"""
_TABLES = """
    CREATE TABLE reviews (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text,
        created_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE tickets (LIKE reviews INCLUDING ALL);
    CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, amount float8, items int,
        released boolean NOT NULL DEFAULT false, created_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE photos (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sharpness float8,
        created_at timestamptz NOT NULL DEFAULT now());
"""
_OPINIONS = (
    "great quality, I would buy it again",
    "arrived late and the box was broken",
    "does what it says",
    "love the colour, quick delivery",
    "poor fabric, never again",
    "fine for the price",
)
_QUESTIONS = (
    "I cannot find my invoice of last month",
    "the password link does not arrive",
    "where is my parcel?",
    "can I change the address?",
)
_PORTUGUESE = "Bom dia, onde está a minha encomenda?"
#: How many times the pipelines run, half an hour apart.
_ROUNDS = 30


@dataclass(frozen=True, kw_only=True)
class _Habit:
    """How often one of the pipelines runs: in each ``every``-th round."""

    every: int
    #: What starts it, as the ledger says it.
    trigger: str = "schedule"


_HABITS: Mapping[str, _Habit] = {
    "reviews": _Habit(every=1),
    "tickets": _Habit(every=2),
    "orders": _Habit(every=4),
    "photos": _Habit(every=3, trigger="call"),
}


def furnish(cluster: Cluster) -> None:
    """Makes the tables and the pipelines, before the processes start."""
    for statement in filter(str.strip, _TABLES.split(";")):
        cluster.sql(statement)
    for name, source in {"reviews": _REVIEWS, "tickets": _TICKETS, "orders": _ORDERS, "photos": _PHOTOS}.items():
        cluster.pipeline(name, source.replace("{folder}", str(cluster.folder)))


def live(cluster: Cluster) -> None:
    """Lets the shop have its days: records arrive, and the pipelines run over them.

    All of it happens within a minute. In the end the ledger gets the times at which it would have happened.
    """
    chance = random.Random(7)  # noqa: S311 -- the same pictures each time
    warehouse = cluster.folder / "no-warehouse"
    runs, ended = 0, "SELECT count(*) FROM batchord.runs WHERE finished_at IS NOT NULL"
    for count in range(_ROUNDS):
        names = [name for name, habit in _HABITS.items() if (_ROUNDS - 1 - count) % habit.every == 0]
        for name in names:
            _ARRIVALS[name](cluster, chance, count)
        warehouse.unlink(missing_ok=True)
        if count == 9:  # one round of orders cannot be published
            warehouse.touch()
        for name in names:
            cluster.send("batchord.start_run", pipeline=name)
        runs += len(names)
        wait_until(
            lambda runs=runs: cluster.sql(ended) == [(runs,)],  # type: ignore[misc]
            description=f"round {count} ends",
            timeout=60,
        )
    _move_into_the_past(cluster)


def _reviews(cluster: Cluster, chance: random.Random, _: int) -> None:
    bodies = [f"{chance.choice(_OPINIONS)}, {chance.choice(_OPINIONS)}" for _ in range(chance.randint(60, 420))]
    cluster.sql("INSERT INTO reviews (body) SELECT unnest(%s::text[])", bodies)


def _tickets(cluster: Cluster, chance: random.Random, count: int) -> None:
    bodies: list[str | None] = [chance.choice(_QUESTIONS) for _ in range(chance.randint(30, 90))]
    odd = count % 4
    bodies[:odd] = [_PORTUGUESE] * odd
    if count % 6 == 1:
        bodies[-1] = ""
    cluster.sql("INSERT INTO tickets (body) SELECT unnest(%s::text[])", bodies)


def _orders(cluster: Cluster, chance: random.Random, _: int) -> None:
    rows = [(chance.lognormvariate(4.5, 0.8), chance.randint(1, 6)) for _ in range(chance.randint(180, 300))]
    amounts, items = zip(*rows, strict=True)
    cluster.sql(
        "INSERT INTO orders (amount, items) SELECT * FROM unnest(%s::float8[], %s::int[])", list(amounts), list(items)
    )


def _photos(cluster: Cluster, chance: random.Random, _: int) -> None:
    sharpness = [chance.betavariate(5, 2) for _ in range(chance.randint(20, 120))]
    cluster.sql("INSERT INTO photos (sharpness) SELECT unnest(%s::float8[])", sharpness)


_ARRIVALS = {"reviews": _reviews, "tickets": _tickets, "orders": _orders, "photos": _photos}


def _move_into_the_past(cluster: Cluster) -> None:
    """Moves each run to the slot at which it would have been started, and its records to some minutes before."""
    cluster.sql("CREATE TABLE moves (run_id uuid PRIMARY KEY, slot timestamptz, distance interval, trigger text)")
    for name, habit in _HABITS.items():
        cluster.sql(
            """
            INSERT INTO moves
            SELECT id, slot, created_at - slot - interval '0.2 s', %s
            FROM (SELECT id, created_at, date_bin('30 min', now(), 'epoch') - %s * (row_number() OVER (
                      ORDER BY created_at DESC) - 1) AS slot
                  FROM batchord.runs WHERE pipeline = %s) AS numbered
            """,
            habit.trigger,
            timedelta(minutes=30) * habit.every,
            name,
        )
        cluster.sql(
            f"""
            UPDATE {name} AS record SET created_at = record.created_at - distance - interval '1 s' * (37 + mod(id, 600))
            FROM (SELECT record_key, run_id FROM batchord.predictions WHERE pipeline = %s
                  UNION ALL SELECT record_key, run_id FROM batchord.rejections WHERE pipeline = %s) AS outcome
            JOIN moves USING (run_id) WHERE record.id::text = record_key
            """,  # noqa: S608 -- one of our names
            name,
            name,
        )
    for statement in _MOVES:
        cluster.sql(statement)


_MOVES = (
    """
    UPDATE batchord.runs SET trigger = moves.trigger, slot = CASE moves.trigger WHEN 'schedule' THEN moves.slot END,
        kind = CASE moves.trigger WHEN 'schedule' THEN 'scheduled' ELSE kind END,
        window_start = window_start - distance, window_end = window_end - distance,
        created_at = created_at - distance, started_at = started_at - distance, finished_at = finished_at - distance
    FROM moves WHERE id = run_id
    """,
    """
    UPDATE batchord.attempts AS attempt SET worker = regexp_replace(worker, '^[^:]+', 'worker-1'),
        started_at = started_at - distance, finished_at = finished_at - distance
    FROM moves WHERE attempt.run_id = moves.run_id
    """,
    """
    UPDATE batchord.steps AS step SET sent_at = sent_at - distance, planned_at = planned_at - distance,
        started_at = started_at - distance, finished_at = finished_at - distance
    FROM moves WHERE step.run_id = moves.run_id
    """,
    """
    UPDATE batchord.shards AS shard SET sent_at = sent_at - distance,
        started_at = started_at - distance, finished_at = finished_at - distance
    FROM moves WHERE shard.run_id = moves.run_id
    """,
    """
    UPDATE batchord.rejections AS rejection SET rejected_at = rejected_at - distance
    FROM moves WHERE rejection.run_id = moves.run_id
    """,
    "DELETE FROM batchord.history WHERE run_id IN (SELECT run_id FROM moves WHERE trigger = 'schedule')",
    "DROP TABLE moves",
)

"""Ticks of a real beat become runs, and runs discover exactly the records that arrived."""

import psycopg

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_EVERY_SECOND = """
    from batchord import Pipeline, SqlSource, every

    def length(frame):
        return frame["body"].str.len()

    notes = Pipeline(
        "notes",
        schedule=every(seconds=1),
        source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
        model=length,
    )
"""


def test_ticks_predict_what_is_there_then_exactly_what_arrives(notes: Cluster) -> None:
    """The first runs take all records; after ten more have arrived, the next ones take those ten."""
    notes.insert_notes(3000)
    notes.pipeline("notes", _EVERY_SECOND)
    notes.start("control", "worker", "beat")
    notes.wait_for_records("notes", "notes")

    notes.insert_notes(10)
    notes.wait_for_records("notes", "notes")

    busy = notes.sql(
        "SELECT discovered, predicted, kind, trigger, extract(microseconds FROM slot)::int %% 1000000 "
        "FROM batchord.runs WHERE pipeline = %s AND discovered > 0 ORDER BY created_at",
        "notes",
    )
    assert busy == [(3000, 3000, "scheduled", "schedule", 0), (10, 10, "scheduled", "schedule", 0)]
    notes.assert_exactly_once("notes", "notes")


def test_a_record_that_commits_late_is_found(notes: Cluster, database_url: str) -> None:
    """A record whose transaction stays open while later records are committed and predicted is not missed."""
    notes.pipeline("notes", _EVERY_SECOND)
    notes.start("control", "worker", "beat")
    with psycopg.connect(database_url) as slow:
        slow.execute("INSERT INTO notes (body) VALUES ('late')")
        notes.insert_notes(5)
        notes.wait_for_records("notes", "notes")
        wait_until(
            lambda: (
                notes.sql("SELECT count(*) FROM batchord.runs WHERE discovered = 0 AND state = 'succeeded'")[0][0] >= 2
            ),
            description="two more runs looked and found nothing new",
        )
    notes.wait_for_records("notes", "notes")
    assert notes.sql("SELECT score FROM batchord.predictions WHERE record_key = '1'") == [(4.0,)]
    notes.assert_exactly_once("notes", "notes")


def test_a_tick_sent_twice_opens_one_run(notes: Cluster) -> None:
    """Two messages for one slot, as from two beats, are one run."""
    notes.insert_notes(20)
    notes.pipeline("notes", _EVERY_SECOND.replace("seconds=1", "hours=12"))
    notes.start("control", "worker")
    for _ in range(2):
        notes.call("batchord.start_run", pipeline="notes", trigger="schedule")
    notes.wait_for_records("notes", "notes")
    wait_until(lambda: notes.log("control").count("batchord.start_run") >= 4, description="both ticks were worked off")
    assert len(notes.runs("notes")) == 1
    notes.assert_exactly_once("notes", "notes")

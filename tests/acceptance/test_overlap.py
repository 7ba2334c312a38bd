"""Ticks and requests that come while a run is still at work: skipped, or one after the other."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_GATED = """
    import threading
    from pathlib import Path
    from batchord import Pipeline, SqlSource, every

    FOLDER = Path({folder!r})

    def gated(frame):
        # The run of the first record is held at a gate, until the test opens it.
        if 1 in frame.index:
            (FOLDER / "reached").touch()
            while not (FOLDER / "open").exists():
                threading.Event().wait(0.01)
        return frame["body"].str.len()

    notes = Pipeline(
        "notes",
        schedule={schedule},
        overlap={overlap!r},
        source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
        model=gated,
    )
"""
_SECONDS = 90


def test_ticks_during_a_run_are_recorded_as_skipped(notes: Cluster) -> None:
    """Each tick that finds a run at work leaves one skipped run, and the next tick after it works again."""
    _hold_first_run(notes, schedule="every(seconds=1)", overlap="skip", processes=("control", "worker", "beat"))
    notes.insert_notes(5)
    _wait_for(notes, "SELECT count(*) >= 3 FROM batchord.runs WHERE state = 'skipped'", "three ticks are skipped")
    assert notes.sql("SELECT count(*) FROM batchord.runs WHERE state IN ('queued', 'running')") == [(1,)]

    (notes.folder / "open").touch()
    notes.wait_for_records("notes", "notes", timeout=_SECONDS)

    runs = _runs(notes)
    skipped = [run for run in runs if run["state"] == "skipped"]
    assert {run["state"] for run in runs} == {"succeeded", "skipped"}
    assert all(run["started_at"] is None and run["finished_at"] is not None for run in skipped)
    assert all((run["discovered"], run["kind"]) == (0, "scheduled") for run in skipped)
    assert len({run["slot"] for run in runs}) == len(runs), "one run for one slot"
    assert [run["discovered"] for run in runs if run["discovered"]] == [7, 5]
    notes.assert_exactly_once("notes", "notes")


def test_ticks_during_a_run_queue_and_run_in_order(notes: Cluster) -> None:
    """With overlap="queue" no tick is dropped: the runs follow each other, the oldest first."""
    _hold_first_run(notes, schedule="every(seconds=1)", overlap="queue", processes=("control", "worker", "beat"))
    notes.insert_notes(5)
    _wait_for(notes, "SELECT count(*) >= 3 FROM batchord.runs WHERE state = 'queued'", "three ticks are queued")
    notes.stop("beat")  # also the sweeper: a run that ends starts the next one by itself

    (notes.folder / "open").touch()
    _wait_for(notes, "SELECT bool_and(finished_at IS NOT NULL) FROM batchord.runs", "all runs have ended")

    runs = _runs(notes)
    assert {run["state"] for run in runs} == {"succeeded"}
    assert [run["discovered"] for run in runs] == [7, 5, *[0] * (len(runs) - 2)]
    assert [run["slot"] for run in runs] == sorted(run["slot"] for run in runs)
    _assert_one_after_the_other(runs)
    notes.assert_exactly_once("notes", "notes")


def test_two_runs_by_hand_at_once(notes: Cluster) -> None:
    """Both are waited for and both succeed; the records are those of the first alone."""
    notes.insert_notes(7)
    notes.pipeline("notes", _GATED.format(folder=str(notes.folder), schedule=None, overlap="skip"))
    notes.start("control", "worker")
    with ThreadPoolExecutor() as hands:
        waited = [hands.submit(notes.batchord, "run", "notes", "--wait", "--json") for _ in range(2)]
        _wait_for(
            notes,
            "SELECT array_agg(state ORDER BY created_at) = '{running,queued}' FROM batchord.runs",
            "one run is at work and one waits",
        )
        wait_until((notes.folder / "reached").exists, description="the first run is at the gate", timeout=_SECONDS)
        (notes.folder / "open").touch()
        ended = [json.loads(each.result().stdout) for each in waited]

    assert [run["state"] for run in ended] == ["succeeded", "succeeded"]
    assert sorted(run["discovered"] for run in ended) == [0, 7]
    _assert_one_after_the_other(_runs(notes))
    notes.assert_exactly_once("notes", "notes")


def test_a_run_by_hand_waits_for_the_scheduled_one(notes: Cluster) -> None:
    """The command says that it is queued. It takes the records that arrived meanwhile; ticks until then are skipped."""
    _hold_first_run(notes, schedule="every(seconds=1)", overlap="skip", processes=("control", "worker", "beat"))
    notes.insert_notes(5)

    by_hand = json.loads(notes.batchord("run", "notes", "--json").stdout)
    assert (by_hand["state"], by_hand["kind"]) == ("queued", "manual")
    said = notes.batchord("run", "notes").stdout
    assert "is queued" in said

    (notes.folder / "open").touch()
    notes.wait_for_records("notes", "notes", timeout=_SECONDS)

    worked = [run for run in _runs(notes) if run["state"] != "skipped"]
    assert {run["state"] for run in worked} == {"succeeded"}
    assert [(run["kind"], run["discovered"]) for run in worked[:3]] == [("scheduled", 7), ("manual", 5), ("manual", 0)]
    assert worked[1]["id"] == by_hand["id"]
    _assert_one_after_the_other(worked)
    notes.assert_exactly_once("notes", "notes")


def _hold_first_run(notes: Cluster, *, schedule: str, overlap: str, processes: tuple[str, ...]) -> None:
    """Returns when a run of seven records is at the gate."""
    notes.insert_notes(7)
    notes.pipeline("notes", _GATED.format(folder=str(notes.folder), schedule=schedule, overlap=overlap))
    notes.start(*processes)
    wait_until((notes.folder / "reached").exists, description="the first run is at the gate", timeout=_SECONDS)


def _wait_for(notes: Cluster, query: str, description: str) -> None:
    wait_until(lambda: notes.sql(query)[0][0], description=description, timeout=_SECONDS)


def _runs(notes: Cluster) -> list[dict[str, Any]]:
    """All runs but those still at work, oldest first."""
    return [run for run in reversed(notes.runs("notes")) if run["finished_at"] is not None]


def _assert_one_after_the_other(runs: list[dict[str, Any]]) -> None:
    times = [moment for run in runs for moment in (run["started_at"], run["finished_at"])]
    assert times == sorted(times), "no two runs of a pipeline are at work at once"

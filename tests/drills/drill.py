"""One drill: a cluster, a fault, and the same assertion at its end."""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import redis

from batchord.catalog.editions import Store, stamp
from tests.acceptance.cluster import Cluster
from tests.exactly_once import Findings, findings
from tests.waiting import wait_until

_QUEUES = ("control", "text", "image", "table", "train", "steps")
#: A pipeline ``notes`` over the table of that name: ``{model}`` is the body of a function of ``frame``.
PIPELINE = """
    import os
    import signal
    import threading
    from pathlib import Path
    from datetime import UTC, datetime
    from batchord import Pipeline, Predict, SqlSource, every, once

    FOLDER = Path({folder!r})

    def length(frame):
        {model}

    notes = Pipeline(
        "notes",
        schedule={schedule},
        steps=[Predict(
            {step!r},
            source=SqlSource({source}),
            model=length,
            into={into!r},
            batch_rows={batch_rows},
            shard_rows={shard_rows},
        )],
        max_active_runs={most_runs},
    )
"""
#: The source of :data:`PIPELINE`, unless a drill declares another.
SOURCE = '"SELECT id, body, created_at FROM notes", key="id", arrival="created_at"'


class Drill:
    """Says when the fault came, waits until it is overcome, and asserts that nothing is lost and nothing twice."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.folder = cluster.folder
        #: The column of the notes with their keys as the ledger writes them.
        self.key = "id"
        self._faults = cluster.folder / "faults"
        self._faults.mkdir()
        cluster.environment["BATCHORD_FAULTS_DIR"] = str(self._faults)
        self._injected: list[float] = []
        self._settled: float | None = None
        self._findings: Findings | None = None

    def declare(
        self,
        model: str = 'return frame["body"].str.len()',
        *,
        step: str = "predict",
        source: str = SOURCE,
        schedule: str = "None",
        into: str | None = None,
        batch_rows: int = 20,
        shard_rows: int = 200,
        most_runs: int = 1,
    ) -> None:
        """Writes the pipeline ``notes``, whose model is the body of a function of ``frame``; see :data:`PIPELINE`."""
        declared = PIPELINE.format(
            folder=str(self.folder),
            model=model,
            step=step,
            source=source,
            schedule=schedule,
            into=into,
            batch_rows=batch_rows,
            shard_rows=shard_rows,
            most_runs=most_runs,
        )
        self.cluster.pipeline("notes", declared)

    def run(self) -> None:
        """Asks for a run of ``notes`` by a message, as ``celery call`` does."""
        self.cluster.send("batchord.start_run", pipeline="notes")

    def injected(self) -> None:
        """Notes that the test made something go wrong now; faults at named points note it themselves."""
        self._injected.append(time.time())

    def passes(self, point: str) -> int:
        """How often processes came by a fault point that this drill names."""
        file = self._faults / point
        return file.stat().st_size if file.exists() else 0

    def fired(self, point: str) -> bool:
        """Whether a named fault has happened."""
        return (self._faults / f"{point}.fired").exists()

    def wait_until_fired(self, point: str, *, timeout: float = 60) -> None:
        """Waits for a named fault to happen."""
        wait_until(lambda: self.fired(point), description=f"the fault {point} fires", timeout=timeout)

    def wait_until_taken_up(self) -> None:
        """Waits until the file as it is now has been tried. A worker that looks for its code then finds the edit."""
        file, store = self.cluster.pipelines / "notes.py", Store(self.cluster.home, self.cluster.pipelines)
        self.injected()
        wait_until(
            lambda: (edition := store.current()) is not None and edition.stamps.get(str(file)) == stamp(str(file)),
            description="the edit is taken up",
            timeout=120,
        )

    def settle(self, *, timeout: float = 120) -> None:
        """Waits until every note is accounted for and no run is open."""
        self.cluster.wait_for_records("notes", "notes", timeout=timeout)
        self._settled = time.time()

    def wait_until_runs(self, count: int) -> None:
        """Waits until so many runs have ended, whether or not records are left."""
        wait_until(
            lambda: self.cluster.sql("SELECT count(*), count(finished_at) FROM batchord.runs") == [(count, count)],
            description=f"{count} runs have ended",
            timeout=60,
        )

    def wait_until_idle(self, *, timeout: float = 60) -> None:
        """Waits until no message is left: none in a queue, none in a worker's hand."""
        with redis.Redis.from_url(self.cluster.environment["BATCHORD_REDIS_URL"]) as broker:
            wait_until(
                lambda: not broker.hlen("unacked") and not any(broker.llen(queue) for queue in _QUEUES),
                description="no message is left",
                timeout=timeout,
            )

    def check(self, *, runs: tuple[str, ...] | None = ("succeeded",)) -> None:
        """Asserts that nothing is lost and nothing twice, and how the runs ended, oldest first.

        None for a pipeline with a schedule: every run that ended succeeded, or was skipped since another was active.
        """
        if runs is None:  # the schedule goes on meanwhile: between two ticks there is a moment without an open run
            self._findings = wait_until(
                lambda: now if (now := self._found()).unended == 0 else None, description="no run is open"
            )
        else:
            self._findings = self._found()
        assert self._findings == Findings()
        rows = self.cluster.sql(
            "SELECT state, finished_at IS NOT NULL FROM batchord.runs WHERE pipeline = 'notes' ORDER BY created_at, id"
        )
        if runs is None:  # the next tick's run may be open by now
            ended = {state for state, is_ended in rows if is_ended}
            assert "succeeded" in ended
            assert ended <= {"succeeded", "skipped"}
        else:
            assert tuple(state for state, _ in rows) == runs

    def report(self, file: Path, *, name: str, passed: bool) -> None:
        """Appends one line of JSON about this drill to ``file``."""
        faults = [*self._injected, *(fired.stat().st_mtime for fired in self._faults.glob("*.fired"))]
        recovery = self._settled - min(faults) if faults and self._settled is not None else None
        found = self._findings or self._found()
        line = {
            "drill": name,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "passed": passed,
            "recovery_seconds": None if recovery is None else round(recovery, 2),
            **asdict(found),
        }
        with file.open("a", encoding="utf-8") as report:  # one short write: two test runs may share a file
            report.write(json.dumps(line) + "\n")

    def _found(self) -> Findings:
        with psycopg.connect(self.cluster.database_url, autocommit=True) as connection:
            return findings(connection, "notes", "notes", key=self.key)

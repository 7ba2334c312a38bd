"""A pipeline with a step of every kind, each of which leaves a trace each time that it works.

prepare ─ predict ─ choose ─┬─ keep   (Sql: a row) ───────────────┬─ close (always)
(Python)         (Branch)   ├─ tell   (Bash: a line, once) ───────┤
                            ├─ again  (Bash: a line, idempotent) ─┤
                            └─ unwanted  (never chosen) ──────────┘
"""

from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.drills.drill import Drill
from tests.waiting import wait_until

#: The gate of a step is shut while a file of its name lies in the folder ``gates``: it says that it is there, and
#: waits before it leaves its trace.
_PIPELINE = """
    import threading
    from datetime import timedelta
    from pathlib import Path
    from batchord import Bash, Branch, Pipeline, Predict, Python, Sql, SqlSource

    FOLDER = Path({folder!r})
    COMMAND = '''
        touch {folder}/reached/$BATCHORD_STEP
        while [ -e {folder}/gates/$BATCHORD_STEP ]; do sleep 0.02; done
        echo $BATCHORD_ATTEMPT >> {folder}/traces/$BATCHORD_STEP
    '''

    def leave_trace(run):
        (FOLDER / "reached" / run.step).touch()
        while (FOLDER / "gates" / run.step).exists():
            threading.Event().wait(0.01)
        with (FOLDER / "traces" / run.step).open("a") as file:
            file.write(f"{{run.attempt}}\\n")

    def choose(run):
        leave_trace(run)
        return ["keep", "tell", "again"]

    def length(frame):
        return frame["body"].str.len()

    notes = Pipeline(
        "notes",
        steps=[
            Python("prepare", leave_trace),
            Predict(
                "predict",
                source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
                model=length,
                after="prepare",
                batch_rows=20,
                shard_rows=200,
            ),
            Branch("choose", choose, after="predict"),
            Sql("keep", "INSERT INTO kept (run_id) VALUES (:run_id)", after="choose"),
            Bash("tell", COMMAND, after="choose"),
            Bash("again", COMMAND, after="choose", idempotent=True),
            Python("unwanted", leave_trace, after="choose"),
            Python("close", leave_trace, after=["keep", "tell", "again", "unwanted"], join="always"),
        ],
    )
"""
#: The state of each step after a run without faults, or with faults that only cost time.
WELL = {
    "prepare": "done",
    "predict": "done",
    "choose": "done",
    "keep": "done",
    "tell": "done",
    "again": "done",
    "unwanted": "skipped",
    "close": "done",
}
#: How often each step worked, in an ordinary run.
ONCE = {"prepare": 1, "choose": 1, "keep": 1, "tell": 1, "again": 1, "close": 1}
_LEFT_OPEN = """
    SELECT 'step ' || name FROM batchord.steps WHERE finished_at IS NULL OR lease_token IS NOT NULL
    UNION ALL SELECT 'attempt at ' || step FROM batchord.attempts WHERE finished_at IS NULL OR state = 'running'
    UNION ALL SELECT 'shard ' || index FROM batchord.shards WHERE state IN ('pending', 'running')
"""


class GraphDrill:
    """A drill of that pipeline."""

    def __init__(self, drill: Drill) -> None:
        self.drill = drill
        self.cluster = drill.cluster
        self._folder = drill.folder
        for name in ("traces", "gates", "reached"):
            (self._folder / name).mkdir()
        self.cluster.sql("CREATE TABLE kept (run_id text NOT NULL)")
        self.cluster.pipeline("notes", _PIPELINE.format(folder=str(self._folder)))

    def shut(self, *steps: str) -> None:
        """Shuts the gates of these steps."""
        for step in steps:
            (self._folder / "gates" / step).touch()

    def open(self, *steps: str) -> None:
        """Opens the gates of these steps."""
        for step in steps:
            (self._folder / "gates" / step).unlink()

    def wait_until_reached(self, *steps: str) -> None:
        """Waits until each of these steps stands at its gate."""
        for step in steps:
            wait_until((self._folder / "reached" / step).exists, description=f"{step} is at its gate", timeout=60)

    def commands(self) -> list[psutil.Process]:
        """The processes of commands that wait at their gates, with any parent."""
        folder = str(self._folder / "gates")
        return [
            process
            for process in psutil.process_iter(["cmdline", "status"])
            if process.info["status"] != psutil.STATUS_ZOMBIE
            and any(folder in word for word in process.info["cmdline"] or [])
        ]

    def states(self) -> dict[str, str]:
        """The state of each step."""
        return dict(self.cluster.sql("SELECT name, state FROM batchord.steps ORDER BY ordinal"))

    def error(self, step: str) -> str:
        """Why the step failed."""
        ((error,),) = self.cluster.sql("SELECT error FROM batchord.steps WHERE name = %s", step)
        return str(error)

    def attempts(self, step: str) -> int:
        """How often the step was claimed."""
        ((attempts,),) = self.cluster.sql("SELECT attempt FROM batchord.steps WHERE name = %s", step)
        return int(attempts)

    def check(
        self,
        *,
        traces: Mapping[str, int] | None = None,
        states: Mapping[str, str] | None = None,
        run: str = "succeeded",
    ) -> None:
        """Asserts that one run ended so, nothing is left open, and each step left as many traces as it should.

        ``states`` and ``traces``: where they differ from :data:`WELL` and :data:`ONCE`.
        """
        self.drill.check(runs=(run,))
        assert self.states() == {**WELL, **(states or {})}
        assert self.cluster.sql(_LEFT_OPEN) == []
        assert self._traces() == {**ONCE, **(traces or {})}
        assert self.commands() == []

    def _traces(self) -> dict[str, int]:
        left = {name: len(_lines(self._folder / "traces" / name)) for name in WELL if name != "predict"}
        assert left.pop("unwanted") == 0
        ((left["keep"], runs),) = self.cluster.sql("SELECT count(*), count(DISTINCT run_id) FROM kept")
        assert runs <= 1
        return left


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []

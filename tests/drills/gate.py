"""A gate in mid-shard: the model waits there until the test lets it go on."""

from typing import Any

from tests.drills.drill import Drill
from tests.waiting import wait_until

#: The body of a model for :meth:`Drill.declare`. The gate stands in the third batch of the first shard.
_MODEL = """
        if 60 in frame.index and not (FOLDER / "open").exists():
            (FOLDER / "reached").touch()
            while not (FOLDER / "open").exists():
                threading.Event().wait(0.01)
        return frame["body"].str.len()
"""


class Gate:
    """Shut when it is made, which must be before the workers start."""

    def __init__(self, drill: Drill, **declared: Any) -> None:
        """``declared``: as for :meth:`Drill.declare`."""
        self._drill = drill
        self._declared = declared
        drill.declare(_MODEL.strip(), **declared)

    def declare(self, **changed: Any) -> None:
        """Writes the pipeline's file anew, with the same model and something else changed."""
        self._drill.declare(_MODEL.strip(), **{**self._declared, **changed})

    def wait_until_reached(self) -> None:
        """Waits until the first shard stands at the gate, and its first two batches are committed."""
        wait_until((self._drill.folder / "reached").exists, description="the model is in mid-shard")
        wait_until(
            lambda: self._drill.cluster.sql("SELECT predicted >= 40 FROM batchord.shards WHERE index = 0") == [(True,)],
            description="the batches before the gate are committed",
        )

    def open(self) -> None:
        """Lets the model go on, now and ever after."""
        (self._drill.folder / "open").touch()

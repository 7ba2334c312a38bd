"""What the browser looks at: a Batchord with some pipelines, and a Flower over it."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.cluster import Cluster
from tests.acceptance.flowers import RunningFlower

#: Logins of the site's Flower: a person who may change things, one who may only look, and one whose name is markup.
OPERATOR, VIEWER, ODD = "operator", "viewer", "<i>odd</i>"
PASSWORD = "of-the-tests"  # noqa: S105 -- of a Flower that only these tests see
#: What would leave a mark in the page if it were read as markup.
MARKUP = "<b class='injected' onclick='x'>bold</b>"
#: The settings of its Flower.
FLOWER = {
    "FLOWER_BASIC_AUTH": ",".join(f"{name}:{PASSWORD}" for name in (OPERATOR, VIEWER, ODD)),
    "BATCHORD_FLOWER_VIEWERS": VIEWER,
}
#: A quick one; one that a test holds as long as it likes; one whose texts are markup; one whose first attempt kills its
#: worker; one that rejects a record, and one that does so until a test mends it; and a file that cannot be loaded.
_PIPELINES = {
    "lengths": """
        from batchord import Pipeline, SqlSource

        def length(frame):
            return frame["body"].str.len()

        lengths = Pipeline(
            "lengths",
            description="The length of each note.",
            source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
            model=length,
        )
    """,
    "held": """
        import threading
        from pathlib import Path
        from batchord import Pipeline, SqlSource

        def held(frame):
            print("at the gate")
            while Path({folder!r}, "held").exists():
                threading.Event().wait(0.05)
            print("past the gate")
            return frame["body"].str.len()

        pipeline = Pipeline(
            "held",
            source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
            model=held,
        )
    """,
    "marked": """
        from batchord import FunctionModel, Pipeline, SqlSource, cron

        pipeline = Pipeline(
            "marked",
            schedule=cron("0 4 * * *"),
            description={markup!r},
            source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
            model=FunctionModel(lambda frame: frame["body"].map(lambda _: {markup!r}), version={markup!r}),
        )
    """,
    "killed": """
        import os
        import signal
        from pathlib import Path
        from batchord import Pipeline, SqlSource

        def killed(frame):
            print({markup!r})
            once = Path({folder!r}, "killed")
            if not once.exists():
                once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return frame["body"].str.len()

        pipeline = Pipeline(
            "killed",
            source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
            model=killed,
        )
    """,
    "picky": """
        from batchord import FunctionModel, Pipeline, SqlSource

        def picky(frame):
            if 7 in frame.index:
                raise ValueError({markup!r})
            return frame["body"].str.len()

        pipeline = Pipeline(
            "picky",
            source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
            model=FunctionModel(picky, version="1"),
        )
    """,
    "mended": """
        from pathlib import Path
        from batchord import FunctionModel, Pipeline, SqlSource

        def mended(frame):
            if 7 in frame.index and not Path({folder!r}, "is-mended").exists():
                raise ValueError({markup!r})
            return frame["body"].str.len()

        pipeline = Pipeline(
            "mended",
            source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
            model=FunctionModel(mended, version="1"),
        )
    """,
    "wrong": """
        raise ValueError({markup!r})
    """,
}


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running Batchord, and where its Flower answers."""

    cluster: Cluster
    flower: RunningFlower

    @property
    def address(self) -> str:
        """What all its addresses begin with."""
        return f"http://127.0.0.1:{self.flower.port}{self.flower.prefix}"

    def run(self, pipeline: str) -> str:
        """The id of the pipeline's newest run."""
        query = "SELECT id::text FROM batchord.runs WHERE pipeline = %s ORDER BY created_at DESC LIMIT 1"
        return str(self.cluster.sql(query, pipeline)[0][0])

    def mend(self) -> None:
        """Makes ``mended`` predict every record."""
        (self.cluster.folder / "is-mended").touch()

    def hold(self) -> None:
        """Makes runs of ``held`` wait."""
        self._gate.touch()

    def let_go(self) -> None:
        """Lets them continue."""
        self._gate.unlink(missing_ok=True)

    @property
    def _gate(self) -> Path:
        return self.cluster.folder / "held"


def furnish(cluster: Cluster) -> None:
    """Makes the table and the pipelines, before the processes start."""
    cluster.sql(
        "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, "
        "created_at timestamptz NOT NULL DEFAULT now())"
    )
    cluster.insert_notes(20)
    for name, source in _PIPELINES.items():
        text = textwrap.dedent(source)
        cluster.pipeline(
            name, text.replace("{folder!r}", repr(str(cluster.folder))).replace("{markup!r}", repr(MARKUP))
        )

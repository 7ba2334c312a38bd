"""Pipeline files as authors write them."""

from collections.abc import Callable
from pathlib import Path

#: Writes a file, by its name, into the pipelines' folder.
Write = Callable[[str, str], Path]

_SOUND = """
    from batchord import Pipeline, SqlSource, every

    def model(frame):
        return frame

    source = SqlSource("SELECT id, body FROM reviews", key="id")
    pipeline = Pipeline("NAME", schedule=every(minutes=10), source=source, model=model)
"""


def sound(name: str) -> str:
    """A file with one pipeline of that name and nothing to mend."""
    return _SOUND.replace("NAME", name)

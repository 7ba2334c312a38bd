"""The pipelines of a folder, by name."""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from batchord.catalog.reading import Loaded, Problem, load
from batchord.core.code.folder import pipeline_files
from batchord.core.declared.pipelines import Pipeline
from batchord.core.errors import CatalogError, UnknownPipeline
from batchord.core.text.similar import meant

#: The most problems that an error lists. `batchord pipelines` lists all.
_MOST_PROBLEMS = 5


class Snapshot:
    """The pipelines of a folder as they were loaded. Later edits do not change it."""

    #: When this machine took up the snapshot's code, in seconds since 1970; None: unknown.
    since: float | None = None

    def __init__(self, folder: Path, loaded: Loaded, *, since: float | None = None) -> None:
        self.folder = folder
        self.loaded = loaded
        self.since = since

    def get(self, name: str) -> Pipeline:
        """See :class:`batchord.flow.parts.Catalog`."""
        pipeline = self.loaded.pipelines.get(name)
        if pipeline is not None:
            return pipeline
        own = [problem for problem in self.problems if problem.pipeline == name]
        if own:
            raise CatalogError(f"Pipeline {name!r} cannot run:" + _listed(own))
        broken = [problem for problem in self.problems if problem.pipeline is None]
        its_file = [problem for problem in broken if self._writes(problem.file, name)]
        if its_file:
            raise UnknownPipeline(
                f"Pipeline {name!r} cannot run, because its file cannot be loaded:{_listed(its_file)}"
            )
        names = meant(name, self.names(), listed="there are")
        names += "" if names.endswith("?") else "."
        unseen = [_unseen(file) for file in self._files() if self._writes(file, name, before=r"\bPipeline\(\s*")]
        told = _listed([*unseen, *self.problems])
        raise UnknownPipeline(f"There is no pipeline {name!r} in {self.folder}; {names}{told}")

    def _files(self) -> list[str]:
        """The files that were loaded."""
        broken = {problem.file for problem in self.problems}
        return [file for file in pipeline_files(self.folder) if file not in broken] if self.folder.is_dir() else []

    def _writes(self, file: str, name: str, *, before: str = "") -> bool:
        """Whether the text of a file has the name in quotes, after what the pattern ``before`` matches."""
        try:
            text = (self.folder / file).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return re.search(f"{before}(?P<quote>[\"']){re.escape(name)}(?P=quote)", text) is not None

    def names(self) -> list[str]:
        """The names of all pipelines that can run, sorted."""
        return sorted(self.loaded.pipelines)

    @property
    def problems(self) -> list[Problem]:
        """Everything that an author must correct."""
        return self.loaded.problems


class Catalog(Snapshot):
    """A snapshot of the folder, loaded on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def loaded(self) -> Loaded:  # type: ignore[override]  # read once, on first use
        """The contents of the folder."""
        return load(self.folder)


def _unseen(file: str) -> Problem:
    return Problem(file=file, pipeline=None, what="make the pipeline a global of the file: no other is found")


def _listed(problems: Sequence[Problem]) -> str:
    lines = [f"\n  - {problem}" for problem in problems[:_MOST_PROBLEMS]]
    more = len(problems) - _MOST_PROBLEMS
    return "".join(lines) + (f"\n  and {more} more: `batchord pipelines` lists all" if more > 0 else "")

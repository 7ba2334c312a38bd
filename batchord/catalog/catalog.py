"""The pipelines of a folder, by name."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from batchord.catalog.reading import Loaded, Problem, load
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
        raise UnknownPipeline(f"There is no pipeline {name!r} in {self.folder}; {names}{_listed(broken)}")

    def _writes(self, file: str, name: str) -> bool:
        """Whether the text of a file that cannot be loaded has the name in quotes."""
        try:
            text = (self.folder / file).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return any(f"{quote}{name}{quote}" in text for quote in "\"'")

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


def _listed(problems: Sequence[Problem]) -> str:
    lines = [f"\n  - {problem}" for problem in problems[:_MOST_PROBLEMS]]
    more = len(problems) - _MOST_PROBLEMS
    return "".join(lines) + (f"\n  and {more} more: `batchord pipelines` lists all" if more > 0 else "")

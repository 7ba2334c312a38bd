"""The pipelines of a folder, by name."""

from functools import cached_property
from pathlib import Path

from batchord.catalog.reading import Loaded, Problem, load
from batchord.core.declared.pipelines import Pipeline
from batchord.core.errors import CatalogError, UnknownPipeline
from batchord.core.text.similar import meant


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
        problems = [str(problem) for problem in self.loaded.problems if problem.pipeline in (name, None)]
        if any(problem.pipeline == name for problem in self.loaded.problems):
            raise CatalogError(f"Pipeline {name!r} cannot run:\n" + "\n".join(f"  - {text}" for text in problems))
        names = meant(name, self.names(), listed="there are")
        names += "" if names.endswith("?") else "."
        hint = "".join(f"\n  - {text}" for text in problems)
        raise UnknownPipeline(f"There is no pipeline {name!r} in {self.folder}; {names}{hint}")

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

"""The pipelines of a folder, by name."""

from functools import cached_property
from pathlib import Path

from batchord.catalog.reading import Loaded, Problem, load
from batchord.core.declared.pipelines import Pipeline
from batchord.core.errors import CatalogError, UnknownPipeline


class Snapshot:
    """What a folder held when it was loaded: it stays as it is, whatever is edited."""

    #: When this machine took up the code that it holds, in seconds since 1970; None: it is not known.
    since: float | None = None

    def __init__(self, folder: Path, loaded: Loaded, *, since: float | None = None) -> None:
        self.folder = folder
        self.loaded = loaded
        self.since = since

    def get(self, name: str) -> Pipeline:
        """See :class:`batchord.flow.parts.Catalog`."""
        found = self.loaded.pipelines.get(name)
        if found is not None:
            return found
        problems = [str(problem) for problem in self.loaded.problems if problem.pipeline in (name, None)]
        if any(problem.pipeline == name for problem in self.loaded.problems):
            raise CatalogError(f"Pipeline {name!r} cannot run:\n" + "\n".join(f"  - {text}" for text in problems))
        known = ", ".join(self.names()) or "none"
        hint = "".join(f"\n  - {text}" for text in problems)
        raise UnknownPipeline(f"There is no pipeline {name!r} in {self.folder}; there are: {known}.{hint}")

    def names(self) -> list[str]:
        """All that can run, sorted."""
        return sorted(self.loaded.pipelines)

    @property
    def problems(self) -> list[Problem]:
        """Everything that an author must mend."""
        return self.loaded.problems


class Catalog(Snapshot):
    """A snapshot of the folder as it is when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def loaded(self) -> Loaded:  # type: ignore[override]  # read once, on first use
        """What the folder holds."""
        return load(self.folder)

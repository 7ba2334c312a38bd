"""Finds and checks pipeline files.

Every ``.py`` below the folder is read, however nested; names that begin with ``_`` or ``.`` are left out. A
file that cannot be imported, or a pipeline with problems, is reported by name and hides no other.
"""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType

from app.core.checks import problems_of
from app.core.error_text import error_text
from app.core.errors import CatalogError, UnknownPipeline
from app.core.graph import upstream
from app.core.loading import loading
from app.core.names import is_name
from app.core.pipelines import Pipeline


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that an author must mend."""

    file: str
    #: None when the file as a whole cannot be read.
    pipeline: str | None
    what: str

    def __str__(self) -> str:
        where = f"{self.file}: pipeline {self.pipeline!r}" if self.pipeline else self.file
        return f"{where}: {self.what}"


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Everything that the folder holds, good and bad."""

    #: Pipelines without problems, by name.
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    #: The file of each of them, relative to the folder.
    files: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class Catalog:
    """The pipelines of a folder, read once on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def loaded(self) -> Loaded:
        """What the folder holds."""
        return load(self.folder)

    def get(self, name: str) -> Pipeline:
        """See :class:`app.flow.parts.Catalog`."""
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


def load(folder: Path) -> Loaded:
    """Reads every pipeline file below ``folder``; raises nothing for what they hold."""
    loaded = Loaded()
    if not folder.is_dir():
        what = "there is no such folder: make it, or set BATCHORD_PIPELINES to where the pipelines are"
        loaded.problems.append(Problem(file=str(folder), pipeline=None, what=what))
        return loaded
    # So that pipeline files can import modules that lie beside them.
    # Last, or a pipeline file named like one of Python's own modules would take its place.
    if str(folder.resolve()) not in sys.path:
        sys.path.append(str(folder.resolve()))
    named: dict[str, list[tuple[str, Pipeline]]] = {}
    for path in _files(folder):
        file = str(path.relative_to(folder))
        try:
            with loading(str(path)):
                module = _import(path, folder)
            declared = [(str(pipeline.name), pipeline) for pipeline in _pipelines(module)]
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            loaded.problems.append(Problem(file=file, pipeline=None, what=_said(error, path)))
            continue
        for name, pipeline in declared:
            others = named.setdefault(name, [])
            # A file that imports another's pipeline does not declare it again.
            if not any(pipeline is other for _, other in others):
                others.append((file, pipeline))
    for name, found in named.items():
        _admit(loaded, name, found)
    _check_follows(loaded, {name for name in named if is_name(name)})
    return loaded


def _admit(loaded: Loaded, name: str, found: list[tuple[str, Pipeline]]) -> None:
    for file, pipeline in found:
        problems = problems_of(pipeline.problems)
        if len(found) > 1:
            others = ", ".join(sorted({other for other, _ in found}))
            problems.append(f"{len(found)} pipelines have this name (in {others}): give each its own")
        loaded.problems.extend(Problem(file=file, pipeline=name, what=problem) for problem in problems)
        if not problems:
            loaded.pipelines[name] = pipeline
            loaded.files[name] = file


def _check_follows(loaded: Loaded, known: set[str]) -> None:
    """Pipelines that follow what is not there, or each other in a circle, cannot run."""
    follows = {name: pipeline.after.pipeline for name, pipeline in loaded.pipelines.items() if pipeline.after}
    before = {name: [followed] for name, followed in follows.items()}
    # Before any is taken out; what cannot be declared so, or has problems of its own, is nothing to follow.
    there = ", ".join(sorted(loaded.pipelines)) or "none"
    in_circle = sorted(name for name in before if name in upstream(before, name))
    for name, followed in follows.items():
        what = None
        if followed not in known:
            what = f"after_pipeline({followed!r}) names no pipeline; there are: {there}"
        elif name in in_circle:
            what = f"it follows {followed!r}, and so in the end itself: break the circle {', '.join(in_circle)}"
        if what is not None:
            loaded.problems.append(Problem(file=loaded.files.pop(name), pipeline=name, what=what))
            del loaded.pipelines[name]


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts
        if not any(part.startswith((".", "_")) for part in parts):
            yield path


def _import(path: Path, folder: Path) -> ModuleType:
    # A name of its own for each file: two folders may both have a train.py.
    plain = importlib.util.find_spec(path.stem) if path.parent == folder and path.stem.isidentifier() else None
    if plain is not None and plain.origin is not None and Path(plain.origin).resolve() == path.resolve():
        # The name by which other files import it: both then hold the same pipelines.
        return importlib.import_module(path.stem)
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    name = f"batchord_pipelines_{digest}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CatalogError(f"{path.relative_to(folder)} cannot be read as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and inspect look there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _pipelines(module: ModuleType) -> list[Pipeline]:
    """Pipelines among the module's globals, also inside a list, tuple or dict; each once."""
    found: dict[int, Pipeline] = {}
    for value in vars(module).values():
        # By type(): isinstance() also asks the value itself, and a proxy that stands for nothing yet raises.
        kind = type(value)
        items = value.values() if issubclass(kind, dict) else value if issubclass(kind, list | tuple) else [value]
        for item in items:
            if issubclass(type(item), Pipeline):
                found[id(item)] = item
    return list(found.values())


def _said(error: BaseException, path: Path) -> str:
    """The error with the line of the pipeline's own file that led to it."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: SyntaxError: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f"line {lines[-1]}: " if lines else ""
    advice = ": install it where the workers run" if isinstance(error, ModuleNotFoundError) else ""
    return f"{where}{error_text(error)}{advice}"

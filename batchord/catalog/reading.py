"""Loads and checks pipeline files.

Every ``.py`` below the folder is read, however nested; names that begin with ``_`` or ``.`` are left out. A
file that cannot be imported, or a pipeline with problems, is reported by name and hides no other.
"""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from batchord.catalog.code import AuthorsCode
from batchord.catalog.folder import pipeline_files
from batchord.catalog.importable import make_importable
from batchord.core.code import is_authors
from batchord.core.declared.checks import problems_of
from batchord.core.declared.declaration import Declaration
from batchord.core.declared.pipelines import Pipeline
from batchord.core.process.loading import loading
from batchord.core.run.graph import upstream
from batchord.core.text.counts import counted
from batchord.core.text.error_text import error_text
from batchord.core.text.names import is_name


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


def load(
    folder: Path,
    *,
    code: AuthorsCode | None = None,
    files: Sequence[str] | None = None,
    on_file: Callable[[str], None] = lambda _: None,
) -> Loaded:
    """Loads the pipeline files below ``folder``; raises nothing for what they hold.

    ``code``: the texts to load, instead of what the files hold now. ``files``: those to load, relative to the folder,
    instead of all. ``on_file`` is called before each.
    """
    loaded = Loaded()
    if files is None and not folder.is_dir():
        what = "this folder does not exist: create it, or set BATCHORD_PIPELINES to the folder of your pipelines"
        loaded.problems.append(Problem(file=str(folder), pipeline=None, what=what))
        return loaded
    code = code or AuthorsCode()
    folder = folder.resolve()
    make_importable(folder)
    code.install()
    named: dict[str, list[tuple[str, Pipeline]]] = {}
    for file in pipeline_files(folder) if files is None else files:
        path = folder / file
        on_file(file)
        try:
            with loading(str(path)):
                module = _import(code, path, folder)
            declared = [(str(pipeline.name), pipeline) for pipeline in _pipelines(module)]
            _note_code(code, module, [pipeline for _, pipeline in declared])
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
            problems.append(
                f"{counted(len(found), 'pipeline')} have this name (in {others}): give each a name of its own"
            )
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
            what = f"after_pipeline({followed!r}) names an unknown pipeline; the pipelines are: {there}"
        elif name in in_circle:
            what = f"it follows {followed!r} and thereby itself: break the cycle of {', '.join(in_circle)}"
        if what is not None:
            loaded.problems.append(Problem(file=loaded.files.pop(name), pipeline=name, what=what))
            del loaded.pipelines[name]


def _import(code: AuthorsCode, path: Path, folder: Path) -> ModuleType:
    plain = _plain_name(code, path, folder)
    if plain is not None:
        spec = _spec(plain)
        if spec is not None and spec.origin is not None and Path(spec.origin).resolve() == path.resolve():
            # The name by which other files import it: both then hold the same pipelines.
            return importlib.import_module(plain)
    # A name of its own for each other file: two folders may both have a train.py.
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    return code.import_file(f"batchord_pipelines_{digest}_{path.stem}", path)


def _plain_name(code: AuthorsCode, path: Path, folder: Path) -> str | None:
    """How other files import it: by its own name right in the folder, or as a package's module."""
    parts = path.relative_to(folder).with_suffix("").parts
    if not all(part.isidentifier() for part in parts):
        return None
    packages = [folder.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts))]
    return ".".join(parts) if all(str(file) in code.texts or file.is_file() for file in packages) else None


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ValueError:  # the program that runs may have such a name, and is imported in another way
        return None


def _note_code(code: AuthorsCode, module: ModuleType, pipelines: Sequence[Pipeline]) -> None:
    """Versions of functions, and of authors' own kinds, are of the texts that were loaded."""
    for pipeline in pipelines:
        for step in pipeline.steps:
            for declared in (getattr(step, "model", None), getattr(step, "source", None)):
                if isinstance(declared, Declaration):
                    declared.loaded_with(code.code, module.__name__)


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
    """The error with the line of the pipeline's own file that led to it, and the author's file in which it arose."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if is_authors(each.filename)]
    lines = [each.lineno for each in frames if each.filename == str(path)]
    where = f"line {lines[-1]}: " if lines else ""
    if isinstance(error, SyntaxError):
        place = f"line {error.lineno}: "
        # Of another file: this one's line is that of its import.
        where = place if error.filename in (None, str(path)) else f"{where}{_shown(error.filename, path)} {place}"
        return f"{where}SyntaxError: {error.msg}"
    if frames and frames[-1].filename != str(path):
        where += f"{_shown(frames[-1].filename, path)} line {frames[-1].lineno}: "
    return f"{where}{error_text(error)}{_advice(error)}"


def _shown(file: str | None, path: Path) -> str:
    """A module's file as seen from the project's root."""
    root, name = path.parent.parent, Path(file or "")
    return str(name.relative_to(root)) if name.is_relative_to(root) else str(name)


def _advice(error: BaseException) -> str:
    if not isinstance(error, ImportError):
        return ""
    wanted = [name for name in sys.modules["batchord"].__all__ if f"'{name}'" in str(error)]
    if error.name == "app" and wanted:
        return f": write `from batchord import {wanted[0]}`"
    if not isinstance(error, ModuleNotFoundError):
        return ""
    if error.name == "app":
        return ": write `from batchord import …`; put a package app of your own beside the pipelines' folder"
    if error.name in ("workers", "beat"):
        return f": write `from batchord.{error.name}`"
    return ": install this module where the workers run"

"""Loads and checks pipeline files.

It reads every ``.py`` below the folder at any depth, except names that begin with ``_`` or ``.``. It reports a file
that cannot be imported, or a pipeline with problems, by name. The others are still loaded.
"""

import hashlib
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from batchord.catalog.code import AuthorsCode
from batchord.catalog.described import described
from batchord.catalog.import_advice import plain_name
from batchord.catalog.importable import make_importable
from batchord.catalog.lines import line_of
from batchord.catalog.lost import lost_pipelines
from batchord.core.code.authors import find_spec
from batchord.core.code.folder import pipeline_files
from batchord.core.declared.checks import problems_of
from batchord.core.declared.declaration import Declaration
from batchord.core.declared.pipelines import Pipeline
from batchord.core.process.loading import loading
from batchord.core.run.graph import upstream
from batchord.core.text.counts import counted
from batchord.core.text.names import is_name
from batchord.core.text.similar import meant


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that an author must correct."""

    file: str
    #: None if the file as a whole cannot be loaded.
    pipeline: str | None
    what: str
    #: The line that declares the step or the pipeline. None: it is unknown, or ``what`` names it.
    line: int | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}: line {self.line}"
        return f"{where}: pipeline {self.pipeline!r}: {self.what}" if self.pipeline else f"{where}: {self.what}"


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The contents of a folder: pipelines and problems."""

    #: Pipelines without problems, by name.
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    #: The file of each of these pipelines, relative to the folder.
    files: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def load(
    folder: Path,
    *,
    code: AuthorsCode | None = None,
    files: Sequence[str] | None = None,
    on_file: Callable[[str], None] = lambda _: None,
) -> Loaded:
    """Loads the pipeline files below ``folder``. It raises no error because of the contents of the files.

    ``code``: the texts to load, instead of the files' current contents. ``files``: the files to load, relative to the
    folder, instead of all. ``on_file`` is called before each file.
    """
    loaded = Loaded()
    if files is None and not folder.is_dir():
        loaded.problems.append(Problem(file=str(folder), pipeline=None, what=_missing(folder)))
        return loaded
    code = code or AuthorsCode()
    folder = folder.resolve()
    make_importable(folder)
    code.install()
    by_name: dict[str, list[tuple[str, Pipeline]]] = {}
    lost: list[Problem] = []
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
            loaded.problems.append(Problem(file=file, pipeline=None, what=described(error, path, folder)))
            continue
        lost += _lost(code, file, path)
        for name, pipeline in declared:
            others = by_name.setdefault(name, [])
            # A file that imports a pipeline from another file does not declare it again.
            if not any(pipeline is other for _, other in others):
                others.append((file, pipeline))
    for name, declarations in by_name.items():
        _admit(loaded, name, declarations)
    for problem in lost:
        loaded.problems.append(problem)
        loaded.pipelines.pop(str(problem.pipeline), None)
        loaded.files.pop(str(problem.pipeline), None)
    _check_follows(loaded, {name for name in by_name if is_name(name)})
    loaded.problems[:] = [_with_line(problem, code, folder) for problem in loaded.problems]
    return loaded


def _missing(folder: Path) -> str:
    """What to do about a folder that does not exist. The person may be in a folder below the project's."""
    here = Path.cwd()
    above = next((each for each in here.parents if (each / folder).is_dir()), None)
    place = "" if folder.is_absolute() else f" in {here}"
    project = "of your project" if folder.is_absolute() or above is None else str(above)
    return (
        f"this folder does not exist{place}: call the command in the folder {project}, create it, or set "
        "BATCHORD_PIPELINES to the folder of your pipelines"
    )


def _with_line(problem: Problem, code: AuthorsCode, folder: Path) -> Problem:
    """The problem with the line of its step or pipeline."""
    if problem.pipeline is None or problem.line is not None:
        return problem
    try:
        text = code.text(str(folder / problem.file))
    except OSError:  # the file is gone by now
        return problem
    return replace(problem, line=line_of(text, problem.what, pipeline=problem.pipeline))


def _lost(code: AuthorsCode, file: str, path: Path) -> list[Problem]:
    return [
        Problem(
            file=file,
            pipeline=lost.name,
            line=lost.line,
            what=f"line {lost.taken_by} gives its variable {lost.variable} to another pipeline, so this one is lost: "
            "give each a variable of its own",
        )
        for lost in lost_pipelines(code.text(str(path)))
    ]


def _admit(loaded: Loaded, name: str, declarations: list[tuple[str, Pipeline]]) -> None:
    for file, pipeline in declarations:
        problems = problems_of(pipeline.problems)
        if len(declarations) > 1:
            others = ", ".join(sorted({other for other, _ in declarations}))
            problems.append(
                f"{counted(len(declarations), 'pipeline')} have this name (in {others}): give each a name of its own"
            )
        loaded.problems.extend(Problem(file=file, pipeline=name, what=problem) for problem in problems)
        if not problems:
            loaded.pipelines[name] = pipeline
            loaded.files[name] = file


def _check_follows(loaded: Loaded, declared_names: set[str]) -> None:
    """Reports pipelines that follow an unknown pipeline, or each other in a cycle: they cannot run."""
    follows = {name: pipeline.after.pipeline for name, pipeline in loaded.pipelines.items() if pipeline.after}
    before = {name: [followed] for name, followed in follows.items()}
    # The names that an author could follow: all pipelines without problems, before the loop below removes some.
    names = sorted(loaded.pipelines)
    in_cycle = sorted(name for name in before if name in upstream(before, name))
    for name, followed in follows.items():
        what = None
        if followed not in declared_names:
            similar = meant(followed, [each for each in names if each != name], listed="the pipelines are")
            what = f"after_pipeline({followed!r}) names an unknown pipeline; {similar}"
        elif name in in_cycle:
            what = f"it follows {followed!r} and thereby itself: break the cycle of {', '.join(in_cycle)}"
        if what is not None:
            loaded.problems.append(Problem(file=loaded.files.pop(name), pipeline=name, what=what))
            del loaded.pipelines[name]


def _import(code: AuthorsCode, path: Path, folder: Path) -> ModuleType:
    plain = plain_name(path, folder)
    if plain is not None and _is_found(plain, path):
        # Other files import the file by this name, so both get the same pipelines.
        return importlib.import_module(plain)
    # A file that cannot be imported by its name, such as `2024-model.py`, gets a name of its own.
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    return code.import_file(f"batchord_pipelines_{digest}_{path.stem}", path)


def _is_found(name: str, path: Path) -> bool:
    """Whether an import of ``name`` gives the file at ``path``, and not another module, such as an installed one."""
    if name in sys.modules:
        origin = getattr(sys.modules[name], "__file__", None)
    else:
        spec = find_spec(name)  # it imports no package: a folder may have the name of an installed one
        origin = None if spec is None else spec.origin
    return origin is not None and Path(origin).resolve() == path.resolve()


def _note_code(code: AuthorsCode, module: ModuleType, pipelines: Sequence[Pipeline]) -> None:
    """Versions of functions, and of authors' own kinds, are of the texts that were loaded."""
    for pipeline in pipelines:
        for step in pipeline.steps:
            for declared in (getattr(step, "model", None), getattr(step, "source", None)):
                if isinstance(declared, Declaration):
                    declared.loaded_with(code.code, module.__name__)


def _pipelines(module: ModuleType) -> list[Pipeline]:
    """The pipelines among the module's globals, also inside a list, tuple or dict; each once."""
    pipelines: dict[int, Pipeline] = {}
    for value in vars(module).values():
        # type() instead of isinstance(): the latter also asks the value itself, and an unset proxy would raise.
        kind = type(value)
        items = value.values() if issubclass(kind, dict) else value if issubclass(kind, list | tuple) else [value]
        for item in items:
            if issubclass(type(item), Pipeline):
                pipelines[id(item)] = item
    return list(pipelines.values())

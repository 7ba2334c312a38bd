"""What is wrong in pipeline files, with the line of each problem."""

import os
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from batchord.catalog import Problem, load
from batchord.catalog.code import AuthorsCode
from batchord.catalog.lines import line_of, pipelines_written
from batchord.catalog.trial import try_files
from batchord.core.code.folder import pipeline_files
from batchord.flow.begin.check import CheckParts, FindingKind, StepFinding, check_pipeline, shared_tables
from batchord.output.known_secrets import secrets_of
from batchord.output.masking import learn

#: The text of a problem that begins with its line: the file cannot be loaded because of it.
_NAMED = re.compile(r"line (\d+): (.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that an author must correct, or should know."""

    #: The path of the file, as seen from the current folder if the file is below it.
    file: str
    line: int
    #: None if the file as a whole cannot be loaded.
    pipeline: str | None
    #: None if the problem is not one of a single step.
    step: str | None
    what: str

    @property
    def subject(self) -> str:
        """The pipeline and the step, for people."""
        return "/".join(each for each in (self.pipeline, self.step) if each is not None)


@dataclass(frozen=True, kw_only=True)
class Unchecked:
    """SQL that could not be checked here."""

    reason: str
    #: The steps, with their pipelines.
    steps: Sequence[str]

    def __str__(self) -> str:
        return f"The SQL of {', '.join(self.steps)} was not checked: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """The result of a check."""

    #: The pipeline files that were checked, as in :attr:`Finding.file`.
    files: Sequence[str]
    #: The names of the pipelines in them that have no problem in their declaration.
    pipelines: Sequence[str]
    problems: Sequence[Finding]
    #: What a person should know besides: it is no mistake in a file.
    warnings: Sequence[Finding]
    unchecked: Sequence[Unchecked]

    def as_json(self) -> dict[str, Any]:
        """The contract for programs."""
        return asdict(self)


def check_files(parts: CheckParts, folder: Path, wanted: Sequence[Path]) -> CheckReport:
    """Loads all files of the folder in their current state, and checks those that are or import a ``wanted`` file.

    Without ``wanted``, it checks all. A file of ``wanted`` that has nothing to do with a pipeline is a problem.
    """
    root = folder.resolve()
    if not root.is_dir():
        (problem,) = load(folder).problems
        return CheckReport(files=[], pipelines=[], problems=[_of_file(folder, problem.what)], warnings=[], unchecked=[])
    every = pipeline_files(root)
    tried = try_files(root, every, {})
    usable = [file for file in every if file not in tried.unusable]
    # The same texts are loaded here: the trial has shown that they do no harm.
    loaded = load(root, code=AuthorsCode(tried.texts), files=usable)
    learn(secrets_of(loaded.pipelines.values(), os.environ))
    chosen, strangers = _chosen(root, every, tried.closures, wanted)
    texts = {file: tried.texts.get(str(root / file), b"").decode(errors="replace") for file in every}
    findings = [_of_problem(root, problem) for problem in tried.problems if problem.file in chosen]
    warnings: list[Finding] = []
    unchecked: dict[str, list[str]] = {}
    for name in sorted(loaded.pipelines):
        if loaded.files[name] in chosen:
            for each in check_pipeline(parts, loaded.pipelines[name]):
                if each.kind is FindingKind.UNCHECKED:
                    unchecked.setdefault(each.what, []).append(f"{name}/{each.step}")
                    continue
                kept = findings if each.kind is FindingKind.PROBLEM else warnings
                kept.append(_of_step(root / loaded.files[name], texts[loaded.files[name]], name, each))
    for name, each in shared_tables(loaded.pipelines[name] for name in sorted(loaded.pipelines)):
        if loaded.files[name] in chosen:
            findings.append(_of_step(root / loaded.files[name], texts[loaded.files[name]], name, each))
    for file in set(chosen) - {problem.file for problem in tried.problems}:
        warnings += _without_name(root / file, texts[file], loaded.pipelines)
    findings += [
        _of_file(path, "no pipeline file, and no pipeline file imports it: it was not checked") for path in strangers
    ]
    return CheckReport(
        files=[_shown(root / file) for file in chosen],
        pipelines=[name for name in sorted(loaded.pipelines) if loaded.files[name] in chosen],
        problems=sorted(findings, key=lambda each: (each.file, each.line, each.subject)),
        warnings=sorted(warnings, key=lambda each: (each.file, each.line, each.subject)),
        unchecked=[Unchecked(reason=reason, steps=steps) for reason, steps in unchecked.items()],
    )


def _chosen(
    root: Path, every: Sequence[str], closures: dict[str, list[str]], wanted: Sequence[Path]
) -> tuple[list[str], list[Path]]:
    """The files to check, and the wanted files that none of them imports."""
    if not wanted:
        return list(every), []
    reached = {file: {str(root / file), *closures.get(file, ())} for file in every}
    paths = {str(path.resolve()): path for path in wanted}
    chosen = [file for file in every if reached[file] & paths.keys()]
    met = {path for file in chosen for path in reached[file]}
    return chosen, [shown for path, shown in paths.items() if path not in met]


def _without_name(path: Path, text: str, found: Container[str]) -> Iterator[Finding]:
    """What is said of pipelines that the file declares where nobody finds them, as inside of a function."""
    for name, line in pipelines_written(text).items():
        if name not in found:
            what = (
                f"no top-level name of the file holds the pipeline '{name}', so Batchord does not have it. If a "
                f"function returns it, write: {name.replace('-', '_')} = that_function()"
            )
            yield Finding(file=_shown(path), line=line, pipeline=None, step=None, what=what)


def _of_file(path: Path, what: str) -> Finding:
    return Finding(file=_shown(path), line=1, pipeline=None, step=None, what=what)


def _of_problem(root: Path, problem: Problem) -> Finding:
    line, what = problem.line or 1, problem.what
    if named := _NAMED.fullmatch(what):
        line, what = int(named[1]), named[2]
    return Finding(file=_shown(root / problem.file), line=line, pipeline=problem.pipeline, step=None, what=what)


def _of_step(path: Path, text: str, pipeline: str, found: StepFinding) -> Finding:
    line = line_of(text, found.what, pipeline=pipeline, step=found.step) or 1
    return Finding(file=_shown(path), line=line, pipeline=pipeline, step=found.step, what=found.what)


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

"""The names of pipelines and steps as the files write them, read without executing any of it.

For the completion of a command line, which must answer at once and must run nobody's code. It does not find a name that
the code computes.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchord.core.code.folder import pipeline_files

#: The step of a pipeline that declares none.
_ONLY_STEP = "predict"


@dataclass(frozen=True, kw_only=True)
class WrittenPipeline:
    """A pipeline as its file writes it."""

    name: str
    steps: tuple[str, ...]


def written_pipelines(folder: Path) -> list[WrittenPipeline]:
    """The pipelines in the folder's files, sorted by name. Files that cannot be read or parsed are left out."""
    found = {each.name: each for file in pipeline_files(folder) for each in _in_file(folder / file)}
    return [found[name] for name in sorted(found)]


def _in_file(file: Path) -> Iterator[WrittenPipeline]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node.func) == "Pipeline":
            name = _argument(node, 0, "name")
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield WrittenPipeline(name=name.value, steps=tuple(_steps(node)) or (_ONLY_STEP,))


def _steps(pipeline: ast.Call) -> Iterator[str]:
    steps = next((each.value for each in pipeline.keywords if each.arg == "steps"), None)
    listed: Sequence[ast.expr] = steps.elts if isinstance(steps, ast.List | ast.Tuple) else ()
    for step in listed:
        name = _argument(step, 0, "name") if isinstance(step, ast.Call) else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield name.value


def _argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    if len(call.args) > position:
        return call.args[position]
    return next((each.value for each in call.keywords if each.arg == name), None)


def _called(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None

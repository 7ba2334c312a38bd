"""The code of the throw-away process of :mod:`batchord.catalog.trial`."""

import ast
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from batchord.catalog.code import AuthorsCode
from batchord.catalog.described import shown
from batchord.catalog.editions import packed, unpacked
from batchord.catalog.reading import Problem, load
from batchord.core.code.authors import find_spec, is_authors, resolved
from batchord.core.code.parsed import imports_of


def attempt(job: dict[str, Any]) -> None:
    """Loads the job's files. Writes a line into the report before each file, and the results at the end."""
    folder = Path(job["folder"])
    job_texts = unpacked(job["texts"])
    code = AuthorsCode(job_texts)
    #: The modules that were loaded before each file began. Those that appear later belong to the file.
    loaded_before: dict[str, set[str]] = {}

    def on_file(file: str) -> None:
        loaded_before[file] = set(code.modules.values())
        _note(job["report"], {"file": file})

    loaded = load(folder, code=code, files=job["files"], on_file=on_file)
    problems = [asdict(problem) for problem in loaded.problems]
    files = list(loaded_before)
    imported_by = _imported_by(code)
    closures = {}
    for place, file in enumerate(files):
        path = str(folder.resolve() / file)
        after = loaded_before[files[place + 1]] if place + 1 < len(files) else set(code.modules.values())
        closures[file] = sorted(_closure({path} | (after - loaded_before[file]), imported_by))
        # A module that is imported later breaks its file as well, and before a record meets it.
        broken = [text for other in closures[file] if (text := _syntax_error(code, other, folder)) is not None]
        if broken and not any(problem["file"] == file for problem in problems):
            problems.append(asdict(Problem(file=file, pipeline=None, what=broken[0])))
    more = {path: text for path, text in code.texts.items() if path not in job_texts}
    _note(job["report"], {"problems": problems, "texts": packed(more), "closures": closures})
    # Does not wait for threads that a file has started, and skips functions that it registered for the exit.
    os._exit(0)


def _note(file: str, line: dict[str, Any]) -> None:
    with Path(file).open("a", encoding="utf-8") as report:
        report.write(json.dumps(line) + "\n")


def _imported_by(code: AuthorsCode) -> dict[str, set[str]]:
    """The paths of the author's modules that each module imports, by its own path.

    Modules that a function imports only when it is called are among them: their texts are read now, so that an edit of
    them is taken up like any other.
    """
    paths = dict(code.modules)
    imported_paths: dict[str, set[str]] = {}
    waiting = list(paths.items())
    while waiting:
        module, path = waiting.pop()
        imported = imported_paths.setdefault(path, set())
        for name in _imports(code, module, path):
            if name not in paths and (later := _unloaded(code, name)) is not None:
                paths[name] = later
                waiting.append((name, later))
            if name in paths:
                imported.add(paths[name])
    return imported_paths


def _imports(code: AuthorsCode, module: str, path: str) -> set[str]:
    """The full names of the modules that a module's text imports, with those of their packages."""
    parsed = code.code.parsed(module)
    names: set[str] = set()
    if parsed is None:
        return names
    package = module if path.endswith("__init__.py") else module.rpartition(".")[0]
    for node in ast.walk(parsed.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            for _, imported in imports_of(node):
                full = resolved(imported.module, package)
                names |= set() if full is None else {full, f"{full}.{imported.name}"}
    return {part for name in names for part in _parents(name)}


def _syntax_error(code: AuthorsCode, path: str, folder: Path) -> str | None:
    """The line and the error of a text that cannot be compiled; None if it can, or if it was imported."""
    if path in code.modules.values():
        return None
    try:
        compile(code.text(path), path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"{shown(path, folder)} line {error.lineno}: SyntaxError: {error.msg}"
    except (OSError, ValueError):
        return None
    return None


def _unloaded(code: AuthorsCode, name: str) -> str | None:
    """The path of an author's module that was not imported, after reading its text; None for any other module."""
    spec = None if name in sys.modules else find_spec(name)
    if spec is None or spec.origin is None or not is_authors(spec.origin):
        return None
    try:
        code.text(spec.origin)
    except OSError:
        return None
    return spec.origin


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:last]) for last in range(1, len(parts) + 1)]


def _closure(paths: set[str], imported_by: dict[str, set[str]]) -> set[str]:
    closure: set[str] = set()
    while paths:
        closure |= paths
        paths = {imported for path in paths for imported in imported_by.get(path, ())} - closure
    return closure

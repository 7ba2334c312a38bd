"""The code of the throw-away process of :mod:`batchord.catalog.trial`."""

import ast
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from batchord.catalog.code import AuthorsCode
from batchord.catalog.editions import packed, unpacked
from batchord.catalog.reading import load
from batchord.core.code.authors import resolved
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
    more = {path: text for path, text in code.texts.items() if path not in job_texts}
    _note(job["report"], {"problems": problems, "texts": packed(more), "closures": closures})
    # Does not wait for threads that a file has started, and skips functions that it registered for the exit.
    os._exit(0)


def _note(file: str, line: dict[str, Any]) -> None:
    with Path(file).open("a", encoding="utf-8") as report:
        report.write(json.dumps(line) + "\n")


def _imported_by(code: AuthorsCode) -> dict[str, set[str]]:
    """The paths of the modules that each module imports, by its own path."""
    paths = dict(code.modules)
    imported_paths: dict[str, set[str]] = {}
    for module, path in paths.items():
        parsed = code.code.parsed(module)
        if parsed is None:
            continue
        package = module if path.endswith("__init__.py") else module.rpartition(".")[0]
        for node in ast.walk(parsed.tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                for _, imported in imports_of(node):
                    full = resolved(imported.module, package)
                    names += [] if full is None else [full, f"{full}.{imported.name}"]
                reached = {paths[part] for name in names for part in _parents(name) if part in paths}
                imported_paths.setdefault(path, set()).update(reached)
    return imported_paths


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:last]) for last in range(1, len(parts) + 1)]


def _closure(paths: set[str], imported_by: dict[str, set[str]]) -> set[str]:
    closure: set[str] = set()
    while paths:
        closure |= paths
        paths = {imported for path in paths for imported in imported_by.get(path, ())} - closure
    return closure

"""What the throw-away process does: see :mod:`batchord.catalog.trial`."""

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
    """Loads the job's files, and writes down before each that it begins, and at the end what came of them."""
    folder = Path(job["folder"])
    given = unpacked(job["texts"])
    code = AuthorsCode(given)
    #: The modules that were there when each file began: what comes after that came with it.
    began: dict[str, set[str]] = {}

    def on_file(file: str) -> None:
        began[file] = set(code.modules.values())
        _note(job["report"], {"file": file})

    loaded = load(folder, code=code, files=job["files"], on_file=on_file)
    problems = [asdict(problem) for problem in loaded.problems]
    files = list(began)
    reaches = _reaches(code)
    closures = {}
    for place, file in enumerate(files):
        path = str(folder.resolve() / file)
        after = began[files[place + 1]] if place + 1 < len(files) else set(code.modules.values())
        closures[file] = sorted(_closure({path} | (after - began[file]), reaches))
    more = {path: text for path, text in code.texts.items() if path not in given}
    _note(job["report"], {"problems": problems, "texts": packed(more), "closures": closures})
    # Threads that a file has started, and what it registered for the end, are nobody's concern.
    os._exit(0)


def _note(file: str, line: dict[str, Any]) -> None:
    with Path(file).open("a", encoding="utf-8") as report:
        report.write(json.dumps(line) + "\n")


def _reaches(code: AuthorsCode) -> dict[str, set[str]]:
    """The paths that each path's imports name."""
    paths = dict(code.modules)
    found: dict[str, set[str]] = {}
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
                found.setdefault(path, set()).update(reached)
    return found


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:last]) for last in range(1, len(parts) + 1)]


def _closure(paths: set[str], reaches: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    while paths:
        found |= paths
        paths = {each for path in paths for each in reaches.get(path, ())} - found
    return found

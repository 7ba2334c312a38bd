"""Where code of the author stands: the file and the line, as people read them."""

import ast
import inspect
import sys
from functools import partial
from pathlib import Path

from batchord.core.code.authors import is_authors
from batchord.core.code.digest import Code


def shown_path(file: str) -> str:
    """The path of an author's file for people: relative to the project's root, if Python imports from there."""
    # An empty entry is the working directory.
    roots = [root for root in (Path(entry).absolute() for entry in sys.path) if Path(file).is_relative_to(root)]
    return str(Path(file).relative_to(min(roots, key=lambda root: len(root.parts)))) if roots else file


def place_of_function(function: object) -> str | None:
    """The place of an author's function, such as ``pipelines/reviews.py:12``; None for any other object."""
    while isinstance(function, partial):
        function = function.func
    plain = inspect.unwrap(function) if callable(function) else function
    if not hasattr(plain, "__code__") and callable(plain):
        plain = type(plain).__call__
    code = getattr(plain, "__code__", None)
    return f"{shown_path(code.co_filename)}:{code.co_firstlineno}" if code and is_authors(code.co_filename) else None


def place_of_text(text: str, module: str | None, code: Code) -> str | None:
    """The place where an author's module writes ``text`` as a value; None if the module is not the author's.

    It is only the file if the module computes the value, or writes it more than once.
    """
    parsed = None if module is None else code.parsed(module)
    file = getattr(sys.modules.get(str(module)), "__file__", None)
    if parsed is None or file is None:
        return None
    constants = (node for node in ast.walk(parsed.tree) if isinstance(node, ast.Constant))
    lines = [node.lineno for node in constants if node.value == text]
    return f"{shown_path(file)}:{lines[0]}" if len(lines) == 1 else shown_path(file)

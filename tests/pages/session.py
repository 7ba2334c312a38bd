"""Run as a program: executes the Python blocks of a page, one after the other, as a notebook does with its cells.

It reads one JSON object a line, ``{"code": …, "place": …}``, and answers each with ``{"output": …, "failed": …}``.
"""

import ast
import contextlib
import io
import json
import linecache
import os
import sys
import traceback
from typing import Any, TextIO


def main() -> None:
    """Answers until its standard input ends. What the blocks' own programs print to file descriptor 1 is no answer."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path.insert(0, "")  # as in a notebook: the folder in which it was started
    names: dict[str, Any] = {"__name__": "__main__"}
    for line in sys.stdin:
        _answer(answers, json.loads(line), names)


def _answer(answers: TextIO, request: dict[str, str], names: dict[str, Any]) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        failed = not _executed(request["code"], request["place"], names)
    print(json.dumps({"output": printed.getvalue(), "failed": failed}), file=answers, flush=True)


def _executed(code: str, place: str, names: dict[str, Any]) -> bool:
    linecache.cache[place] = (len(code), None, code.splitlines(keepends=True), place)
    try:
        for statement in ast.parse(code, place).body:
            exec(compile(ast.Interactive([statement]), place, "single"), names)  # noqa: S102 -- our own pages
    except BaseException:  # noqa: BLE001 -- whatever a block raises is what its reader sees
        traceback.print_exc()
        return False
    return True


if __name__ == "__main__":
    main()

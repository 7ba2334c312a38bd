"""Finds the line of a pipeline file that a problem is about."""

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import takewhile

_STEP = re.compile(r"step '([\w-]+)'")
_OPTION = re.compile(r"(?<![\w.])([a-z_]+)=")
#: PostgreSQL's own line of the SQL, which it cuts off with dots.
_SQL = re.compile(r"^LINE \d+: (?:\.\.\.)?(.*?)(?:\.\.\.)?$", re.MULTILINE)
_QUOTED = re.compile(r"'([^'\n]+)'")
#: Characters that two lines of SQL must share.
_LEAST_ALIKE = 4


def line_of(text: str | bytes, what: str, *, pipeline: str | None = None, step: str | None = None) -> int | None:
    """The line of the file ``text`` that holds what the problem ``what`` is about, from 1.

    It is the line of the option, of the SQL or of the text in quotes that the problem names, or else of the step, or
    else of the pipeline. A file may build its pipelines in a loop, with names that stand nowhere: then it is None.

    It reads the file's text. Asking the call's frame while the pipeline is declared was rejected: the line would be a
    value of the declaration, and so a part of the versions of functions that reach it.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    line: int | None = None
    scope: list[ast.AST] = [tree]
    found = _called(calls, pipeline, "Pipeline") or _called(calls, pipeline, None)
    if found is not None:
        line, scope = found.lineno, list(_with_names(found, tree))
    named = _STEP.search(what)
    wanted = step or (named[1] if named else None)
    of_step = _called([node for part in scope for node in ast.walk(part) if isinstance(node, ast.Call)], wanted, None)
    if of_step is not None:
        line, scope = of_step.lineno, list(_with_names(of_step, tree))
    line_in_scope = _line_of_sql(what, scope) or _line_of_option(what, scope)
    return line_in_scope or _line_of_text(what, scope, wanted, pipeline) or line


def pipelines_written(text: str) -> dict[str, int]:
    """The names of the pipelines that the text of a file declares anywhere, and the lines where it does.

    It knows those whose name is a string as it stands.
    """
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return {
        name: call.lineno
        for call in calls
        if _function(call).endswith("Pipeline")
        for name in _names_given(call)
        if isinstance(name, str)
    }


def _called(calls: Iterable[ast.Call], name: str | None, ends_with: str | None) -> ast.Call | None:
    """The call with ``name`` as its first argument or its ``name=``."""
    if name is None:
        return None
    for call in calls:
        if (ends_with is None or _function(call).endswith(ends_with)) and name in _names_given(call):
            return call
    return None


def _function(call: ast.Call) -> str:
    """The last part of the called function's name."""
    return str(call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", ""))


def _names_given(call: ast.Call) -> list[object]:
    """The first argument and ``name=``, where they are constants."""
    given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "name")]
    return [each.value for each in given if isinstance(each, ast.Constant)]


def _with_names(node: ast.AST, tree: ast.Module) -> Iterator[ast.AST]:
    """The node, and the file's functions and values of variables that it names, at any distance."""
    values: dict[str, ast.AST] = {
        target.id: statement.value
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    values |= {statement.name: statement for statement in tree.body if isinstance(statement, ast.FunctionDef)}
    waiting, seen = [node], set[str]()
    while waiting:
        part = waiting.pop(0)
        yield part
        names = {each.id for each in ast.walk(part) if isinstance(each, ast.Name)} - seen
        seen |= names
        waiting += [values[name] for name in sorted(names) if name in values]


def _line_of_sql(what: str, scope: Iterable[ast.AST]) -> int | None:
    """The line of a text in ``scope`` that is most like the line of SQL that PostgreSQL shows.

    They differ: Batchord puts its own query around that of a source, and a parameter has another form.
    """
    shown = _SQL.search(what)
    if shown is None:
        return None
    constants = [node for part in scope for node in ast.walk(part) if isinstance(node, ast.Constant)]
    likeness, line = max(
        (_alike(line.strip(), shown[1].strip()), min(node.lineno + place, node.end_lineno or node.lineno))
        for node in constants
        for place, line in enumerate(node.value.splitlines() if isinstance(node.value, str) else [""])
    )
    return line if likeness >= _LEAST_ALIKE else None


def _alike(line: str, shown: str) -> int:
    """How many characters they share, if one holds the other or both begin alike."""
    if line in shown or shown in line:
        return min(len(line), len(shown))
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(line, shown, strict=False))))


def _line_of_text(what: str, scope: Iterable[ast.AST], *names: str | None) -> int | None:
    """The line of the first text that the problem quotes, such as the path of a model; ``names`` do not count."""
    constants = [node for part in scope for node in ast.walk(part) if isinstance(node, ast.Constant)]
    lines = {node.value: node.lineno for node in reversed(constants) if isinstance(node.value, str)}
    quoted = (text for text in _QUOTED.findall(what) if text not in names)
    return next((lines[text] for text in quoted if text in lines), None)


def _line_of_option(what: str, scope: Iterable[ast.AST]) -> int | None:
    lines = {
        node.arg: node.value.lineno
        for part in scope
        for node in ast.walk(part)
        if isinstance(node, ast.keyword) and node.arg is not None
    }
    return next((lines[option] for option in _OPTION.findall(what) if option in lines), None)

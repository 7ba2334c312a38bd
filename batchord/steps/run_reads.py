"""The steps whose outputs a function reads from its run, found in its text and without calling it."""

import ast
import inspect
import types
from collections.abc import Iterable, Iterator

#: Code with these may end the function before the statements after it, or catch the error of a wrong name.
_MAY_LEAVE = (ast.Return, ast.Raise, ast.Try, ast.TryStar, ast.With, ast.Break, ast.Continue)


def surely_read(function: object, parameter: str) -> tuple[str, ...]:
    """The names in ``run["name"]`` and ``run.outputs["name"]`` that each call of the function reaches.

    ``parameter``: the function's name for the run. Names that only some calls reach, as under an ``if``, are left out:
    pipelines may share a function. It is empty if the function's text is not available.
    """
    if not isinstance(function, types.FunctionType | types.MethodType) or hasattr(function, "__wrapped__"):
        return ()
    node = _node_of(function)
    if node is None or _is_set_again(node, parameter):
        return ()
    parts: Iterable[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else _surely_evaluated(node.body)
    return tuple(dict.fromkeys(name for part in parts for name in _names_in(part, parameter)))


def _node_of(function: types.FunctionType | types.MethodType) -> ast.FunctionDef | ast.Lambda | None:
    try:
        lines, _ = inspect.findsource(function)  # the text that was loaded, whatever the file holds by now
        tree = ast.parse("".join(lines))
    except (OSError, TypeError, SyntaxError, ValueError, RecursionError, IndexError):
        return None
    first = function.__code__.co_firstlineno
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.Lambda)
        and first == min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
        and getattr(node, "name", "<lambda>") == function.__name__
    ]
    return found[0] if len(found) == 1 else None


def _is_set_again(node: ast.AST, parameter: str) -> bool:
    stored = (each for each in ast.walk(node) if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load))
    return any(each.id == parameter for each in stored)


def _surely_evaluated(body: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    for statement in body:
        match statement:
            case ast.If(test=part) | ast.While(test=part) | ast.For(iter=part) | ast.Match(subject=part):
                yield part
            case ast.With(items=items):
                yield from (item.context_expr for item in items)
            case (
                ast.Expr()
                | ast.Assign()
                | ast.AugAssign()
                | ast.AnnAssign()
                | ast.Return()
                | ast.Raise()
                | ast.Assert()
            ):
                yield statement
        if any(isinstance(each, _MAY_LEAVE) for each in ast.walk(statement)):
            return


def _names_in(part: ast.AST, parameter: str) -> Iterator[str]:
    match part:
        case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return
        case ast.IfExp(test=first) | ast.BoolOp(values=[first, *_]):
            yield from _names_in(first, parameter)
            return
        case ast.Subscript(value=of, slice=ast.Constant(value=str(name)), ctx=ast.Load()) if _is_run(of, parameter):
            yield name
    for child in ast.iter_child_nodes(part):
        yield from _names_in(child, parameter)


def _is_run(node: ast.AST, parameter: str) -> bool:
    inner = node.value if isinstance(node, ast.Attribute) and node.attr == "outputs" else node
    return isinstance(inner, ast.Name) and inner.id == parameter

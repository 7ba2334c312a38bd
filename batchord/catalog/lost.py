"""Finds pipelines that a file declares and loses, because it gives their variable to another pipeline."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LostPipeline:
    """A pipeline that no variable of its file holds."""

    name: str
    line: int
    variable: str
    #: The line that gives the variable to another pipeline.
    taken_by: int


def lost_pipelines(text: str | bytes) -> Iterator[LostPipeline]:
    """The lost pipelines among the statements of a file that stand outside of functions, loops and conditions.

    A pipeline is not lost if anything uses its variable in between, such as ``pipelines.append(reviews)``.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    held: dict[str, tuple[str, int]] = {}
    for statement in tree.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and (isinstance(node.ctx, ast.Load) or not _declared(statement)):
                held.pop(node.id, None)
        for variable, name in _declared(statement):
            if variable in held:
                lost, line = held[variable]
                yield LostPipeline(name=lost, line=line, variable=variable, taken_by=statement.lineno)
            held[variable] = (name, statement.lineno)


def _declared(statement: ast.stmt) -> list[tuple[str, str]]:
    """The variable and the name of the pipeline that a statement declares; empty if the file computes its name."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=variable)], value=ast.Call() as call):
            function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "name")]
            names = [each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            return [(variable, name) for name in names[:1] if function == "Pipeline"]
    return []

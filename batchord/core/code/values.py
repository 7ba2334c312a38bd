"""Where a digest begins: the code behind a callable, and the values that the callable holds."""

import ast
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import types
import uuid
from functools import partial
from typing import Any

from batchord.core.code.parsed import Parsed
from batchord.core.code.reach import Reach

#: Types whose repr says everything about a value.
_PLAIN = (
    type(None), bool, int, float, complex, str, bytes, dt.date, dt.time, dt.timedelta,
    decimal.Decimal, fractions.Fraction, pathlib.PurePath, uuid.UUID, range, slice, type(...),
)  # fmt: skip


def reach_value(reach: Reach, value: Any, declared_in: str | None, above: tuple[int, ...] = ()) -> None:
    """Adds the code behind ``value`` and behind the values in it. Where that is unclear, it adds whole modules."""
    if id(value) in above:  # the value holds itself
        return
    above = (*above, id(value))
    if isinstance(value, types.FunctionType):
        _function(reach, value, declared_in, above)
    elif isinstance(value, types.MethodType):
        reach_value(reach, value.__func__, declared_in, above)
        reach_value(reach, value.__self__, declared_in, above)
    elif isinstance(value, partial):
        for part in (value.func, value.args, value.keywords):
            reach_value(reach, part, declared_in, above)
    elif isinstance(value, type):
        _named(reach, value.__module__, value.__qualname__)
    elif isinstance(value, types.ModuleType):
        reach.add_whole(value.__name__)
    elif type(value) in _PLAIN or isinstance(value, enum.Enum | pathlib.PurePath):
        reach.add_text(f"{type(value).__name__}:{value!r}")
    elif type(value) in (tuple, list, dict, set, frozenset):
        _container(reach, value, declared_in, above)
    else:
        _instance(reach, value, declared_in, above)


def _function(reach: Reach, function: types.FunctionType, declared_in: str | None, above: tuple[int, ...]) -> None:
    # Looks at the function's code, not at its __name__: a decorator's wrapper carries the decorated function's names.
    module = str(function.__globals__.get("__name__"))
    parts = function.__code__.co_qualname.split(".")
    parsed = reach.module(module)
    if parsed is None:  # a library's function: the values in it may still be the author's
        pass
    elif parts[0] == "<lambda>":
        node = _lambda(parsed, function.__code__)
        if node is None:
            reach.add_whole(module)
        else:
            reach.add_node(module, node)
    elif not _named(reach, module, parts[0]):
        reach.add_whole(module)
    values = _cells(function)
    if "<locals>" in parts:  # elsewhere the code's text holds the defaults
        values += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    for value in values:
        reach_value(reach, value, declared_in, above)
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is not None:
        reach_value(reach, wrapped, declared_in, above)


def _named(reach: Reach, module: str, qualname: str) -> bool:
    """Adds what the module defines under that name; False if its text does not define it."""
    parsed = reach.module(module)
    name = qualname.partition(".")[0]
    if parsed is None or name not in parsed.gives:
        return False
    reach.refer(module, name)
    return True


def _cells(function: types.FunctionType) -> list[Any]:
    values = []
    for cell in function.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:  # not set yet
            continue
    return values


def _container(reach: Reach, value: Any, declared_in: str | None, above: tuple[int, ...]) -> None:
    reach.add_text(f"{type(value).__name__}:{len(value)}")
    if isinstance(value, set | frozenset):  # its order differs from process to process
        if all(type(item) in _PLAIN for item in value):
            reach.add_text(repr(sorted(map(repr, value))))
        else:
            reach.add_whole(declared_in)
        return
    for item in [*value.keys(), *value.values()] if isinstance(value, dict) else value:
        reach_value(reach, item, declared_in, above)


def _instance(reach: Reach, value: Any, declared_in: str | None, above: tuple[int, ...]) -> None:
    """Adds the code of an object's class and its attributes, if it holds nothing else."""
    kind = type(value)
    if reach.module(kind.__module__) is None:
        # An object of a library's class: nobody knows what it holds or how it was made.
        reach.add_whole(declared_in)
        return
    if not _named(reach, kind.__module__, kind.__qualname__):
        reach.add_whole(kind.__module__)
    attributes = getattr(value, "__dict__", None)
    if attributes is None or any(hasattr(base, "__slots__") for base in kind.__mro__[:-1]):
        reach.add_whole(declared_in)
    if attributes:
        reach_value(reach, dict(sorted(attributes.items())), declared_in, above)


def _lambda(parsed: Parsed, code: types.CodeType) -> ast.Lambda | None:
    """The lambda of the module from which ``code`` was compiled. Several may stand in one line."""
    places = [place for place in code.co_positions() if None not in place]
    begins = [(line, column) for line, _, column, _ in places if (line, column) > (code.co_firstlineno, 0)]
    if not begins:
        return None
    first = min(begins)
    around = [
        node
        for node in ast.walk(parsed.tree)
        if isinstance(node, ast.Lambda)
        and node.lineno == code.co_firstlineno
        and (node.body.lineno, node.body.col_offset) <= first
        and max(begins) < (node.body.end_lineno, node.body.end_col_offset)
    ]
    # The innermost: one lambda may stand inside another.
    return max(around, key=lambda node: (node.body.lineno, node.body.col_offset), default=None)

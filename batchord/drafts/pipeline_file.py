"""Puts a pipeline file together from a source and a model."""

import builtins
import keyword
from collections.abc import Iterable
from dataclasses import dataclass

from batchord.drafts.python_text import literal

_RESERVED = frozenset({"cron", "every", "frame", "once", "pd", "rrule"})


@dataclass(frozen=True, kw_only=True)
class Argument:
    """An argument of a pipeline, its source or its model, and what the file needs for it."""

    #: The lines of the argument, indented as in the pipeline, with the comma at the end.
    lines: str
    #: Names that it needs from ``batchord``.
    names: frozenset[str] = frozenset()
    #: Further imports, as statements.
    imports: frozenset[str] = frozenset()
    #: Assignments at the top of the file, with their comments.
    constants: tuple[str, ...] = ()
    #: Functions and classes.
    definitions: tuple[str, ...] = ()


def pipeline_text(name: str, *, title: str, source: Argument, model: Argument) -> str:
    """The text of the file for pipeline ``name``. ``title`` is one sentence about it."""
    arguments = (source, model)
    names = frozenset({"Pipeline", "every"}).union(*(argument.names for argument in arguments))
    imports = frozenset[str]().union(*(argument.imports for argument in arguments))
    constants = [constant for argument in arguments for constant in argument.constants]
    definitions = [definition for argument in arguments for definition in argument.definitions]
    head = "\n\n".join([f'"""{title}"""', _imports(imports, names), *constants])
    taken = {*names, *(line.split()[1].split("(")[0] for line in definitions)}
    pipeline = "\n".join(
        [
            f"{variable_of(name, taken)} = Pipeline(",
            f"    {literal(name)},",
            "    # Workers start a run each time. Without schedule=, only people start runs.",
            "    schedule=every(minutes=10),",
            source.lines,
            model.lines,
            ")",
        ]
    )
    between = "\n\n\n" if definitions else "\n\n"
    return between.join([head, *definitions, pipeline]) + "\n"


def variable_of(name: str, taken: Iterable[str]) -> str:
    """A name for the variable that holds the pipeline."""
    variable = name.replace("-", "_").rstrip("_")
    is_used = keyword.iskeyword(variable) or keyword.issoftkeyword(variable) or variable in {*taken, *_RESERVED}
    return f"{variable}_pipeline" if is_used or hasattr(builtins, variable) else variable


def _imports(statements: frozenset[str], names: frozenset[str]) -> str:
    """The imports in ruff's order: Python's own first, ``import x`` before ``from x import y``."""
    from_batchord = f"from batchord import {', '.join(sorted(names, key=_by_case))}"
    own = [each for each in statements if _is_own(each)]
    others = [*(each for each in statements if not _is_own(each)), from_batchord]
    groups = [
        sorted(group, key=lambda each: (each.startswith("from"), _module(each).lower())) for group in (own, others)
    ]
    return "\n\n".join("\n".join(group) for group in groups if group)


def _module(statement: str) -> str:
    return statement.split()[1]


def _is_own(statement: str) -> bool:
    return _module(statement).partition(".")[0] in ("collections", "dataclasses", "datetime", "pathlib")


def _by_case(name: str) -> tuple[bool, str]:
    return (name[0].islower(), name)

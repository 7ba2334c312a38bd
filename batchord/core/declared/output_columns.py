"""The columns that an author declares for keys of a model's output: ``outputs={"items": "jsonb"}``."""

import re
from collections.abc import Iterable, Mapping

from batchord.core.declared.checks import kind_of, shown
from batchord.core.run.exported import COLUMNS
from batchord.core.run.output_types import output_type

_NAME = re.compile(r"[a-z_][a-z0-9_]*")
#: PostgreSQL would cut a longer name.
_MOST_BYTES = 63
#: Columns that a table of predictions, or each table of PostgreSQL, has already; and those of the views over it.
_TAKEN = {*COLUMNS, "writer", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
_EXAMPLES = "boolean, bigint, numeric(8, 2), text, timestamptz, jsonb, real[] or vector(768)"


def outputs_problems(outputs: object, *, key: object) -> list[str]:
    """The problems of ``outputs=``, one sentence each. ``key``: the source's ``key=``, as far as it has one."""
    if not isinstance(outputs, Mapping):
        return [f"outputs= is {kind_of(outputs)}: give names and types, such as {{'items': 'jsonb'}}"]
    keys = key if isinstance(key, tuple) else (key,)
    return [problem for name, written in outputs.items() for problem in _problems(name, written, keys)]


def _problems(name: object, written: object, keys: tuple[object, ...]) -> Iterable[str]:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > _MOST_BYTES:
        yield (
            f"outputs= has the name {shown(name)}, which cannot be a column: use lower-case letters, digits and '_', "
            f"at most {_MOST_BYTES}, and let the model return it under that name"
        )
    elif name in _TAKEN or name.removeprefix("prediction_") in _TAKEN:
        yield f"outputs= has the name {name!r}, which the table of predictions uses: let the model return another"
    elif name in keys or name.removeprefix("key_") in keys:
        what = "the source's key" if len(keys) == 1 else "a column of the source's key"
        yield f"outputs= has the name {name!r}, which is {what}: let the model return another"
    if not isinstance(written, str):
        yield f"outputs= has {kind_of(written)} as the type of {shown(name)}: give a type such as {_EXAMPLES}"
    elif output_type(written) is None:
        yield f"outputs= has the type {written!r} for {shown(name)}: give a type such as {_EXAMPLES}"

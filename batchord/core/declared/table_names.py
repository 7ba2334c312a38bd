"""Names of tables that authors write, as in SQL: ``reviews``, ``shop.reviews`` or ``shop."Reviews"``."""

import re

from batchord.core.declared.checks import kind_of
from batchord.core.run.results import RESULTS_SCHEMA, TableName

_PART = r'(?:[a-z_][a-z0-9_$]*|"(?:[^"\x00%]|"")+")'
_NAME = re.compile(rf"(?:({_PART})\.)?({_PART})")
#: The schema of a table for which the author names none.
_USUAL = "public"
#: PostgreSQL would cut a longer name.
_MOST_BYTES = 63


def table_name(written: object) -> TableName | None:
    """The table that the author means; None if it is no name of a table."""
    match = _NAME.fullmatch(written) if isinstance(written, str) else None
    if match is None:
        return None
    schema, table = (_USUAL if part is None else _unquoted(part) for part in match.groups())
    return TableName(schema=schema, table=table)


def table_problems(option: str, written: object) -> list[str]:
    """The problems of the name of a table for predictions that the author gives as ``option``."""
    name = table_name(written)
    if name is None:
        shown = repr(written) if isinstance(written, str) else kind_of(written)
        problem = (
            f"{option}={shown} cannot be the name of a table: write table or schema.table in lower-case letters, "
            "digits and '_', or in double quotes as PostgreSQL has it"
        )
        return [problem]
    if any(len(part.encode()) > _MOST_BYTES for part in (name.schema, name.table)):
        return [f"{option}={written!r} is too long: PostgreSQL's names have at most {_MOST_BYTES} bytes"]
    if name.schema in ("batchord", RESULTS_SCHEMA, "information_schema") or name.schema.startswith("pg_"):
        return [f"{option}={written!r}: the schema {name.schema} is not for your tables: choose another one"]
    return []


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part

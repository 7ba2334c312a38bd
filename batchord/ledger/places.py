"""Has the table for a step's predictions made, or uses the one that the author names."""

from collections.abc import Sequence

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.run.key_columns import KeyColumn, key_of_columns, takes, widens
from batchord.core.run.output_types import OutputColumn, lacking
from batchord.core.run.results import ResultsTable, TableName
from batchord.core.text.error_text import clause
from batchord.ledger.authors_keys import stored_name
from batchord.ledger.authors_tables import Fit, fit_of
from batchord.ledger.connection import Connection, Connections
from batchord.ledger.output_columns import add_outputs, problems_of_own
from batchord.ledger.results import find_tables, place

_MAKE = "SELECT batchord.make_results(%s, %s, %s, %s)"
#: Columns of a table that the view of all tables does not read, although they should be there.
_UNSHOWN = """
    SELECT FROM pg_catalog.pg_attribute AS own
    WHERE own.attrelid = %(table)s::regclass AND own.attname = ANY(%(columns)s) AND NOT own.attisdropped
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS used
                      JOIN pg_catalog.pg_rewrite AS rule ON rule.oid = used.objid
                      WHERE used.classid = 'pg_catalog.pg_rewrite'::regclass
                        AND used.refclassid = 'pg_catalog.pg_class'::regclass AND used.refobjid = own.attrelid
                        AND used.refobjsubid = own.attnum AND rule.ev_class = 'batchord.result_rows'::regclass)
    LIMIT 1
"""
_USE = "SELECT batchord.use_results(%s, %s, %s, %s, %s, %s, %s, %s)"
_MAKE_OF_COLUMNS = "SELECT batchord.make_results_of_columns(%s, %s, %s, %s)"
_USE_OF_COLUMNS = "SELECT batchord.use_results_of_columns(%s, %s, %s, %s, %s, %s, %s)"


def have_table(
    connections: Connections,
    pipeline: str,
    step: str,
    key: KeyColumn,
    into: TableName | None,
    *,
    outputs: Sequence[OutputColumn] = (),
) -> ResultsTable:
    """The current table for predictions of records with such keys, with these columns for keys of the output.

    It is made if it is missing, and columns are added to one that Batchord has made.

    If the step had another table before, its predictions stay there, and count.

    Raises ConfigurationError if the table holds predictions with keys of another type, or cannot be used; and
    TransientError if somebody reads the views so long that they cannot be made anew now.
    """
    with connections.transaction() as connection:
        tables = find_tables(connection, pipeline, step)
        fit = None if into is None else fit_of(connection, pipeline, step, into, key, outputs=outputs)
        if (table := _usable(connection, tables, key, fit, outputs)) is not None:
            return table
        if fit is None:
            key = _key_of_own(connection, tables, key)
            _refuse_wrong(connection, pipeline, step, outputs)
    # A transaction of its own: it locks a view, which everybody reads.
    with connections.transaction() as connection:
        try:
            _call(connection, pipeline, step, key, fit)
            add_outputs(connection, find_tables(connection, pipeline, step)[0], outputs)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DuplicateTable) as error:
            raise TransientError(
                f"The table for predictions of step {step} of {pipeline} cannot be made now, or not with its columns: "
                "it must be shown in the view batchord.predictions, and somebody has been reading it or the table "
                "for seconds, or a batch is being written to the step's table before."
            ) from error
        except psycopg.errors.RaiseException as error:
            said = clause(error.diag.message_primary or str(error))
            raise ConfigurationError(f"Step {step} of {pipeline} has no table for its predictions: {said}.") from error
        return find_tables(connection, pipeline, step)[0]


def ready_table(
    connection: Connection,
    pipeline: str,
    step: str,
    key: KeyColumn,
    into: TableName | None,
    *,
    outputs: Sequence[OutputColumn],
) -> ResultsTable | None:
    """The table of :func:`have_table` if nothing is to be done for it; otherwise None."""
    tables = find_tables(connection, pipeline, step)
    fit = None if into is None or not tables else fit_of(connection, pipeline, step, into, key, outputs=outputs)
    return None if into is not None and fit is None else _usable(connection, tables, key, fit, outputs)


def _usable(
    connection: Connection,
    tables: list[ResultsTable],
    key: KeyColumn,
    fit: Fit | None,
    outputs: Sequence[OutputColumn],
) -> ResultsTable | None:
    table = _ready(tables, key) if fit is None else _ready_at(tables, fit)
    if table is None or lacking(table.outputs, outputs):
        return None
    return table if fit is None or _is_shown(connection, table) else None


def _ready(tables: list[ResultsTable], key: KeyColumn) -> ResultsTable | None:
    """The current table if Batchord has chosen its name, and it takes such keys."""
    current = tables[0] if tables else None
    return None if current is None or current.is_chosen or not _takes(current, key) else current


def _takes(table: ResultsTable, key: KeyColumn) -> bool:
    """Whether the table, which Batchord has made, can hold such keys as the same keys."""
    if not key.parts or not table.parts:
        return not key.parts and not table.parts and takes(table.key_type, key.type)
    wanted = {stored_name(part): part.type for part in key.parts}
    return [*wanted] == [*table.parts] and all(takes(table.parts[name], kind) for name, kind in wanted.items())


def _ready_at(tables: list[ResultsTable], fit: Fit) -> ResultsTable | None:
    """The current table if it is the one that the author names, as it is registered."""
    current = tables[0] if tables else None
    if current is None or current.name != fit.name or not fit.exists:
        return None
    registered = (current.key_column, current.key_type, current.has_text, current.columns, current.parts)
    wanted = (fit.key_column, fit.key_type, fit.has_text, fit.columns, dict(fit.parts))
    return current if registered == wanted else None


def _refuse_wrong(connection: Connection, pipeline: str, step: str, outputs: Sequence[OutputColumn]) -> None:
    """Raises ConfigurationError if the table whose name Batchord chooses cannot have the columns."""
    name, problems = problems_of_own(connection, pipeline, step, outputs)
    if problems:
        raise ConfigurationError(
            f"Step {step} of {pipeline} cannot have its outputs= in {name or 'its table'}: {'; '.join(problems)}."
        )


def _is_shown(connection: Connection, table: ResultsTable) -> bool:
    """Whether the views show the table's columns. They do not if it was broken when another table was made."""
    held = {name for what, name in table.columns.items() if table.has_text or what != "record_key"}
    key = {table.key_column} if table.has_key_text else {*table.parts}
    columns = {*held, *table.outputs} if table.has_text else {*key, *held, *table.outputs}
    values = {"table": str(table.name), "columns": list(columns)}
    return connection.execute(_UNSHOWN, values).fetchone() is None


def _call(connection: Connection, pipeline: str, step: str, key: KeyColumn, fit: Fit | None) -> None:
    if fit is None and key.parts:
        parts = [[stored_name(part), part.type] for part in key.parts]
        connection.execute(_MAKE_OF_COLUMNS, [pipeline, step, key.name, Jsonb(parts)])
        return
    if fit is None:
        connection.execute(_MAKE, [pipeline, step, key.name, key.type])
        return
    if fit.parts:
        place_of_table = [fit.name.schema, fit.name.table, Jsonb(fit.columns)]
        connection.execute(
            _USE_OF_COLUMNS, [pipeline, step, fit.key_column, Jsonb([*map(list, fit.parts)]), *place_of_table]
        )
        return
    names = [fit.name.schema, fit.name.table, Jsonb(fit.columns), fit.has_text]
    connection.execute(_USE, [pipeline, step, fit.key_column, fit.key_type, *names])


def _key_of_own(connection: Connection, tables: list[ResultsTable], key: KeyColumn) -> KeyColumn:
    """The key for the table whose name Batchord chooses: as it is there if that takes such keys.

    Raises ConfigurationError if it does not, and holds predictions.
    """
    table = next((each for each in tables if not each.is_chosen), None)
    if table is None or (not key.parts and not table.parts and widens(table.key_type, key.type)):
        return key
    wider = _wider(table, key)
    if wider:
        return key_of_columns(wider)
    if _takes(table, key):
        return KeyColumn(name=key.name, type=table.key_type)
    filled = connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(place(table))).fetchone()
    if filled is None:
        return key
    own = _shown(table.key_type, [KeyColumn(name=name, type=kind) for name, kind in table.parts.items()])
    change = "Name the same columns in key=" if table.parts else "Convert the key in the source"
    raise ConfigurationError(
        f"The source of step {table.step} has {_shown(key.type, key.parts)}, but {table.name} holds predictions with "
        f"{own}. {change}, or give the step a new name, or forget these predictions with "
        f"`batchord reset {table.pipeline} --step {table.step}`."
    )


def _wider(table: ResultsTable, key: KeyColumn) -> list[KeyColumn]:
    """The columns of a key of several, each as wide as in the table and in the source; empty if it is another key."""
    if not key.parts or [*map(stored_name, key.parts)] != [*table.parts]:
        return []
    both = [(part, table.parts[stored_name(part)]) for part in key.parts]
    if not all(takes(existing, part.type) or widens(existing, part.type) for part, existing in both):
        return []
    return [
        KeyColumn(name=stored_name(part), type=part.type if widens(existing, part.type) else existing)
        for part, existing in both
    ]


def _shown(key_type: str, parts: Sequence[KeyColumn]) -> str:
    """A key as a part of a sentence."""
    columns = ", ".join(f"{part.name} {part.type}" for part in parts)
    return f"keys of the columns ({columns})" if parts else f"keys of type {key_type}"

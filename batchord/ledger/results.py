"""The tables of predictions: finds a step's tables, and writes SQL over their rows.

No name of a table or a column holds a ``%``, which would begin the place of a value.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from psycopg import sql

from batchord.core.run.exported import COLUMNS
from batchord.core.run.key_columns import fitting_texts, unfitting
from batchord.core.run.output_types import VECTORS, OutputType, output_type, takes_values
from batchord.core.run.records import Scalar, ledger_texts, record_key
from batchord.core.run.results import ResultsTable
from batchord.ledger.connection import Connection
from batchord.ledger.key_parts import column_values, has_columns, text_of_columns

_COLUMNS = (
    "id, pipeline, step, schema_name, table_name, key_column, key_type, has_text, columns, has_earlier, is_current, "
    "has_former, by_author, outputs, key_parts"
)
_FIND = f"SELECT {_COLUMNS} FROM batchord.results WHERE pipeline = %s AND step = %s ORDER BY is_current DESC, id"
_ALL = (
    f"SELECT {_COLUMNS} FROM batchord.results WHERE %(pipeline)s::text IS NULL OR pipeline = %(pipeline)s ORDER BY id"
)
#: Today's columns of ``batchord.predictions``, which people know.
_ROW = """
    SELECT {pipeline} AS pipeline, {step} AS step, {record_key} AS record_key, writer.model_version,
           row.{label}::text AS label, row.{score}::float8 AS score, {output} AS output, writer.run_id, writer.shard,
           writer.attempt, {input_digest} AS input_digest, row.{predicted_at} AS predicted_at{more}
    FROM {table} AS row LEFT JOIN batchord.writers AS writer ON writer.id = row.{writer}
"""
_EARLIER_ROW = """
    SELECT pipeline, step, record_key, model_version, label, score, output, run_id, shard, attempt, input_digest,
           predicted_at{more}
    FROM batchord.earlier_predictions WHERE pipeline = {pipeline} AND step = {step}
"""
#: The tables of a step of a run, with the writers of the run.
_WRITERS_OF_RUN = """
    SELECT to_jsonb(place) AS place, array_agg(writer.id) FILTER (WHERE writer.id IS NOT NULL) AS writers
    FROM batchord.runs AS run JOIN batchord.results AS place ON place.pipeline = run.pipeline
    LEFT JOIN batchord.writers AS writer ON writer.run_id = run.id AND writer.results = place.id
    WHERE run.id = %(run)s AND place.step = %(step)s GROUP BY place.id
"""
_ROW_OF_RUN = """
    SELECT row.{label}::text AS label, row.{score}::float8 AS score, {output} AS output FROM {table} AS row
    WHERE row.{writer} BETWEEN {first} AND {last} AND row.{writer} = ANY({writers})
"""
#: While earlier rows move into the table, each statement needs the writers of its own moment.
_MOVING_ROW_OF_RUN = """
    SELECT row.{label}::text AS label, row.{score}::float8 AS score, {output} AS output FROM {table} AS row
    WHERE row.{writer} = ANY(ARRAY(SELECT id FROM batchord.writers WHERE run_id = %(run)s AND results = {results}))
"""
#: Types of a key's columns that keys of the output cannot have, and the type as which they are read.
_AS_OUTPUT = {"bpchar": "text", "oid": "bigint", "inet": "text", "cidr": "text", "macaddr": "text"}
#: The keys of the output that a summary counts.
_SUMMED = ("truncated",)
_EARLIER_OF_RUN = """
    SELECT label, score, output FROM batchord.earlier_predictions WHERE run_id = %(run)s AND step = %(step)s
"""


def find_tables(connection: Connection, pipeline: str, step: str) -> list[ResultsTable]:
    """The tables of a step's predictions, the current one first.

    There is none if the step was never planned by this release, and more than one if its ``into=`` has changed.
    """
    return [ResultsTable(**row) for row in connection.execute(_FIND, [pipeline, step])]


def all_tables(connection: Connection, pipeline: str | None = None) -> list[ResultsTable]:
    """The tables of all steps of the pipeline, or of all pipelines; former ones, too."""
    return [ResultsTable(**row) for row in connection.execute(_ALL, {"pipeline": pipeline})]


def table_from(row: Mapping[str, Any]) -> ResultsTable:
    """The table of a row of ``batchord.results`` in the form of JSON."""
    return ResultsTable(**{name: row[name] for name in ResultsTable.__dataclass_fields__})


def place(table: ResultsTable) -> sql.Identifier:
    """The table's name with its schema."""
    return sql.Identifier(table.schema_name, table.table_name)


def columns_of(table: ResultsTable) -> dict[str, sql.Identifier]:
    """The names of the table's columns besides the key, by what they hold."""
    return {held: sql.Identifier(name) for held, name in table.columns.items()}


def text_of_key(table: ResultsTable) -> sql.Composed:
    """The ledger's text for the key of a row with the alias ``row``."""
    if not table.has_key_text:
        return text_of_columns(table)
    if table.has_text:
        return sql.SQL("row.{}").format(columns_of(table)["record_key"])
    return sql.SQL("row.{}::text").format(sql.Identifier(table.key_column))


def has_key(table: ResultsTable) -> sql.Composed:
    """The condition that a row with the alias ``row`` has one of the keys of :func:`fitting_values`; by index."""
    if not table.has_key_text:
        return has_columns(table)
    column, kind = (table.columns["record_key"], "text") if table.has_text else (table.key_column, table.key_type)
    keys = sql.Placeholder(_fitting(table))
    return sql.SQL("row.{} = ANY({}::{}[])").format(sql.Identifier(column), keys, sql.SQL(kind))


def fitting_values(tables: Sequence[ResultsTable], keys: Sequence[Scalar]) -> dict[str, list[str]]:
    """The values for :func:`has_key`: the ledger's texts of those keys that each table can hold.

    Of a key of several texts, also the one that earlier releases wrote: a row that has moved here may have it still.
    """
    values: dict[str, list[str]] = {}
    for table in tables:
        if not table.has_key_text:
            values |= column_values(table, keys)
            continue
        wrong = unfitting(keys, table.key_type)
        fitting = [key for key in keys if key not in wrong] if wrong else keys
        values[_fitting(table)] = [*ledger_texts(fitting)] if table.has_text else [*map(record_key, fitting)]
    return values


def fitting_values_of_texts(tables: Sequence[ResultsTable], texts: Sequence[str]) -> dict[str, list[str]]:
    """The same of keys that are given as the ledger's texts."""
    values: dict[str, list[str]] = {}
    for table in tables:
        own = {_fitting(table): fitting_texts(texts, table.key_type)}
        values |= own if table.has_key_text else column_values(table, texts)
    return values


def _fitting(table: ResultsTable) -> str:
    return f"fitting_{table.id}"


def rows_of_step(
    pipeline: str,
    step: str,
    tables: Sequence[ResultsTable],
    *,
    by_keys: bool = False,
    newest: bool = False,
    outputs: Mapping[str, OutputType] | None = None,
) -> sql.Composed:
    """A query for all predictions of a step, wherever they lie, with the columns of ``batchord.predictions``.

    Args:
        pipeline: The pipeline's name.
        step: The step's name.
        tables: The step's tables, of :func:`find_tables`.
        by_keys: Only those with the keys of :func:`fitting_values` in the tables, and with ``%(keys)s`` in that of
            earlier predictions. The values ``%(pipeline)s`` and ``%(step)s`` are needed, too; otherwise the query has
            no values.
        newest: Only the newest of each record.
        outputs: Keys of the output that get columns of their own behind the others.
    """
    names: dict[str, sql.Composable] = {
        "pipeline": sql.SQL("%(pipeline)s::text") if by_keys else sql.Literal(pipeline),
        "step": sql.SQL("%(step)s::text") if by_keys else sql.Literal(step),
    }
    more = outputs or {}
    earlier = sql.SQL(_EARLIER_ROW).format(**names, more=_more(None, more))
    if by_keys:
        earlier += sql.SQL(" AND record_key = ANY(%(keys)s::text[])")
    if newest:
        earlier += sql.SQL(" AND NOT superseded")
        earlier = sql.SQL(
            "SELECT * FROM (SELECT DISTINCT ON (record_key) * FROM ({}) AS old ORDER BY record_key, predicted_at DESC) "
            "AS newest"
        ).format(earlier)
    parts: list[sql.Composable] = []
    for table in tables:
        own = sql.SQL(_ROW).format(
            **names, **_without_key(table), record_key=text_of_key(table), table=place(table), more=_more(table, more)
        )
        parts.append(own + sql.SQL(" WHERE ") + has_key(table) if by_keys else own)
    # By keys it costs little to look also for what is superseded.
    if not tables or tables[0].has_earlier or by_keys:
        parts.append(earlier)
    return sql.SQL(" UNION ALL ").join(parts)


def outputs_of(tables: Sequence[ResultsTable]) -> dict[str, OutputType]:
    """The columns for keys of the output in any of a step's tables, with the type in the first table that has it.

    Those of a key of several columns are among them: a person may want these instead of the key's text.
    """
    found: dict[str, OutputType] = {}
    for table in tables:
        for name, written in _further(table).items():
            kind = output_type(written)
            if kind is not None:
                found.setdefault(name, kind)
    return found


def _further(table: ResultsTable) -> dict[str, str]:
    parts = {name: _AS_OUTPUT.get(kind, kind) for name, kind in table.parts.items() if name not in COLUMNS}
    return parts | dict(table.outputs)


def _more(table: ResultsTable | None, outputs: Mapping[str, OutputType]) -> sql.Composed:
    """The columns for keys of the output, behind the others. A table that has no fitting one has NULL there."""
    parts = []
    for name, kind in outputs.items():
        column = sql.Identifier(name)
        own_type = None if table is None else output_type(_further(table).get(name, ""))
        has_it = own_type is not None and takes_values(str(kind), own_type)
        own = sql.SQL("row.{}").format(column) if has_it else sql.SQL("NULL")
        shown = "real[]" if kind.is_vector else str(kind)
        parts.append(sql.SQL(", {}::{} AS {}").format(own, sql.SQL(shown), column))
    return sql.Composed(parts)


class RowsOfRun(NamedTuple):
    """Label, score and output of all predictions of a step of a run; of the output, only what a summary counts."""

    #: A subquery, and its values.
    query: sql.Composed
    values: dict[str, Any]
    #: Those of the tables whose names the author has chosen. Others may delete rows there, or alter the table.
    chosen: list[ResultsTable]


def rows_of_run(connection: Connection, run_id: str, step: str) -> RowsOfRun:
    """The predictions of a step of a run, wherever they lie."""
    values: dict[str, Any] = {"run": run_id, "step": step}
    parts: list[sql.Composable] = []
    chosen: list[ResultsTable] = []
    found = [(table_from(row["place"]), row["writers"]) for row in connection.execute(_WRITERS_OF_RUN, values)]
    has_earlier = not found or any(table.has_earlier for table, _ in found)
    for number, (table, writers) in enumerate(found):
        may_get_rows = has_earlier and not table.by_author
        if writers is None and not may_get_rows:
            continue
        chosen += [table] if table.is_chosen else []
        names = {**_without_key(table), "table": place(table), "results": sql.Literal(table.id)}
        names["output"] = whole_output(table, only=_SUMMED)  # to make JSON of each embedding would take minutes
        if may_get_rows:
            parts.append(sql.SQL(_MOVING_ROW_OF_RUN).format(**names))
            continue
        # All numbers of a run's writers lie in one narrow range: the index finds their pages by its ends.
        own = {"writers": writers, "first": min(writers), "last": max(writers)}
        values |= {f"{name}_{number}": value for name, value in own.items()}
        places = {name: sql.Placeholder(f"{name}_{number}") for name in own}
        parts.append(sql.SQL(_ROW_OF_RUN).format(**names, **places))
    if has_earlier or not parts:
        parts.append(sql.SQL(_EARLIER_OF_RUN))
    query = sql.SQL("({})").format(sql.SQL(" UNION ALL ").join(parts))
    return RowsOfRun(query, values, chosen)


def whole_output(table: ResultsTable, *, only: Collection[str] | None = None) -> sql.Composable:
    """All of the output of a row with the alias ``row``, as JSON: as if no key of it had a column of its own.

    ``only``: the keys that the query asks for; then the columns of others are not read. ``batchord.whole_output``
    writes the same for the views.
    """
    column = columns_of(table).get("output")
    rest: sql.Composable = sql.SQL("NULL::jsonb") if column is None else sql.SQL("row.{}").format(column)
    outputs = {name: kind for name, kind in table.outputs.items() if only is None or name in only}
    if not outputs:
        return rest
    parts = []
    for name, kind in outputs.items():
        own = sql.SQL("row.{}").format(sql.Identifier(name))
        value = own + sql.SQL("::text::jsonb") if kind.startswith(VECTORS) else own
        part = sql.SQL(" || CASE WHEN {} IS NULL THEN '{{}}'::jsonb ELSE jsonb_build_object({}, {}) END")
        parts.append(part.format(own, sql.Literal(name), value))
    return sql.SQL("CASE WHEN ROW({}) IS NULL THEN {} ELSE coalesce({}, '{{}}'::jsonb){} END").format(
        sql.SQL(", ").join(sql.SQL("row.{}").format(sql.Identifier(name)) for name in outputs),
        rest,
        rest,
        sql.SQL("").join(parts),
    )


def _without_key(table: ResultsTable) -> dict[str, sql.Composable]:
    """The columns besides the key, in SQL over a row with the alias ``row`` where the table need not have them."""
    names: dict[str, sql.Composable] = {**columns_of(table)}
    names.pop("record_key", None)
    digest = names.get("input_digest")
    names["input_digest"] = sql.SQL("NULL::bigint") if digest is None else sql.SQL("row.{}").format(digest)
    names["output"] = whole_output(table)
    return names

"""Whether a table that an author names can take a step's predictions, and what to change if not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchord.core.errors import ConfigurationError
from batchord.core.run.key_columns import KeyColumn, has_one_text, takes, widens
from batchord.core.run.output_types import OutputColumn, takes_values
from batchord.core.run.results import TableName, quoted
from batchord.ledger.authors_keys import parts_in, problems_of_parts, stored_name, text_column_in
from batchord.ledger.connection import Connection
from batchord.ledger.output_columns import TYPE, problems_of_types, problems_of_vectors
from batchord.ledger.rows import one

#: The columns besides the key: what they hold, the types that they may have, and the first type as SQL adds it.
_TEXTS = ("text", "character varying")
_NEEDED = {
    "label": (_TEXTS, "text"),
    "score": (("double precision", "real", "numeric"), "float8"),
    "writer": (("integer", "bigint"), "int"),
    "predicted_at": (("timestamp with time zone",), "timestamptz NOT NULL DEFAULT now()"),
}
_OPTIONAL = {"input_digest": (("bigint",), "bigint"), "output": (("jsonb",), "jsonb")}

_TABLE = """
    SELECT relation.oid, relation.relkind AS kind, relation.relpersistence AS persistence,
           home.oid IS NOT NULL AS has_schema, owner.rolname AS owner, current_user AS me,
           coalesce(has_schema_privilege(current_user, home.oid, 'USAGE'), false) AS may_enter,
           coalesce(has_schema_privilege(owner.oid, home.oid, 'CREATE')
                    AND has_schema_privilege(owner.oid, home.oid, 'USAGE'), false) AS owner_may_make,
           has_schema_privilege(owner.oid, home.oid, 'USAGE') AND has_table_privilege(owner.oid, relation.oid, 'SELECT')
               AS owner_may_read,
           ARRAY(SELECT wanted FROM unnest(ARRAY['SELECT', 'INSERT', 'DELETE']) AS wanted
                 WHERE NOT has_table_privilege(current_user, relation.oid, wanted)) AS lacking,
           ARRAY(SELECT role.rolname FROM pg_catalog.pg_roles AS role
                 WHERE role.rolname IN (current_user, owner.rolname) AND relation.relrowsecurity
                   AND NOT (role.rolsuper OR role.rolbypassrls)
                   AND (relation.relforcerowsecurity OR NOT pg_has_role(role.oid, relation.relowner, 'USAGE')))
               AS sees_few,
           EXISTS (SELECT FROM pg_catalog.pg_trigger AS trigger
                   WHERE trigger.tgrelid = relation.oid AND NOT trigger.tgisinternal AND trigger.tgenabled <> 'D'
                     AND trigger.tgtype & 7 = 7) AS fills_in
    FROM (VALUES (%(schema)s::text, %(table)s::text)) AS wanted (schema, name)
    LEFT JOIN pg_catalog.pg_namespace AS home ON home.nspname = wanted.schema
    LEFT JOIN pg_catalog.pg_class AS relation ON relation.relnamespace = home.oid AND relation.relname = wanted.name
    LEFT JOIN pg_catalog.pg_namespace AS ledger ON ledger.nspname = 'batchord'
    LEFT JOIN pg_catalog.pg_roles AS owner ON owner.oid = ledger.nspowner
"""
_COLUMNS = f"""
    SELECT own.attname AS name, format_type(own.atttypid, -1) AS type, {TYPE} AS full_type,
           own.attnotnull AS is_required, own.atthasdef AND own.attgenerated = '' AS has_default,
           own.attgenerated <> '' OR own.attidentity = 'a' AS is_generated, own.attidentity <> '' AS is_identity,
           EXISTS (SELECT FROM pg_catalog.pg_index AS of
                   WHERE of.indrelid = own.attrelid AND of.indisunique AND of.indimmediate AND of.indisvalid
                     AND of.indnkeyatts = 1 AND of.indkey[0] = own.attnum AND of.indpred IS NULL
                     AND of.indexprs IS NULL) AS is_unique
    FROM pg_catalog.pg_attribute AS own WHERE own.attrelid = %s AND own.attnum > 0 AND NOT own.attisdropped
"""
_REGISTERED = "SELECT pipeline, step, by_author FROM batchord.results WHERE schema_name = %s AND table_name = %s"
_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence", "i": "an index",
          "I": "an index", "c": "a type"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How predictions of a step fit into a table."""

    name: TableName
    #: Whether the table exists. Otherwise it can be made.
    exists: bool
    #: As in :class:`.ResultsTable`.
    key_column: str
    key_type: str
    has_text: bool
    columns: Mapping[str, str]
    #: The columns of a key of several, and their types.
    parts: Sequence[tuple[str, str]] = ()


def fit_of(
    connection: Connection,
    pipeline: str,
    step: str,
    name: TableName,
    key: KeyColumn,
    *,
    outputs: Sequence[OutputColumn] = (),
) -> Fit:
    """How the step's predictions fit into the table, which need not exist.

    Raises ConfigurationError with all that is wrong, and the SQL that corrects it.
    """
    problems, fit = look_at(connection, pipeline, step, name, key, outputs=outputs)
    if problems or fit is None:
        raise ConfigurationError(
            f"Step {step} of {pipeline} cannot write its predictions into {name}: {'; '.join(problems)}."
        )
    return fit


def look_at(
    connection: Connection,
    pipeline: str,
    step: str,
    name: TableName,
    key: KeyColumn,
    *,
    outputs: Sequence[OutputColumn] = (),
) -> tuple[list[str], Fit | None]:
    """The problems of the table, as parts of a sentence; and how the predictions fit, if there is no problem."""
    found = one(connection.execute(_TABLE, {"schema": name.schema, "table": name.table}).fetchone())
    registered = connection.execute(_REGISTERED, [name.schema, name.table]).fetchone() if found["owner"] else None
    if registered is not None and (registered["pipeline"], registered["step"]) != (pipeline, step):
        whose = f"step {registered['step']} of {registered['pipeline']}"
        return [f"it has the predictions of {whose}: name another table"], None
    if found["oid"] is None:
        problems = list(_problems_of_making(found, name, is_gone=registered is not None))
        problems += problems_of_vectors(connection, outputs)
        return problems, None if problems else _new(name, key)
    problems = list(_problems_of_table(found, name))
    if problems:  # a view has no keys
        return problems, None
    columns = {row["name"]: row for row in connection.execute(_COLUMNS, [found["oid"]])}
    is_batchords = registered is not None and not registered["by_author"]
    fit = _fit(name, key, columns, is_batchords=is_batchords)
    added = () if is_batchords else outputs
    if fit.parts:
        problems = list(
            problems_of_parts(connection, found["oid"], name, key, columns=columns, text_column=fit.key_column)
        )
    else:
        problems = list(_problems_of_key(fit, key, columns))
    problems += _problems_of_columns(fit, columns, added, fills_in=found["fills_in"])
    types = {column: row["full_type"] for column, row in columns.items()}
    problems += problems_of_vectors(connection, outputs, types)
    if is_batchords:
        problems += problems_of_types(connection, name, outputs, types)
    else:
        problems += _problems_of_outputs(name, columns, outputs, is_shown=registered is not None)
    return problems, fit


def _new(name: TableName, key: KeyColumn) -> Fit:
    if key.parts:
        parts = parts_in(key, {})
        columns = _names_beside(*(part for part, _ in parts))
        return Fit(
            name=name,
            exists=False,
            key_column=key.name,
            key_type=key.type,
            has_text=False,
            columns=columns,
            parts=parts,
        )
    column = stored_name(key)
    columns = _names_beside(column)
    has_text = not has_one_text(key.type)
    return Fit(name=name, exists=False, key_column=column, key_type=key.type, has_text=has_text, columns=columns)


def _fit(name: TableName, key: KeyColumn, columns: Mapping[str, Any], *, is_batchords: bool) -> Fit:
    parts = parts_in(key, columns)
    column = text_column_in(key, columns) if parts else stored_name(key)
    held = _names_beside(*(part for part, _ in parts)) if parts else _names_beside(column)
    own = key.type if parts else columns.get(column, {"type": key.type})["type"]
    has_text = not parts and not has_one_text(own)
    if is_batchords and widens(own, key.type):
        own = key.type
    if not is_batchords:
        held = {each: stored for each, stored in held.items() if each in _NEEDED or stored in columns}
    return Fit(name=name, exists=True, key_column=column, key_type=own, has_text=has_text, columns=held, parts=parts)


def _names_beside(*taken: str) -> dict[str, str]:
    """The names of the columns besides the key. One that a column of the key has already gets another."""
    return {held: _beside(held, *taken) for held in (*_NEEDED, *_OPTIONAL, "record_key")}


def _beside(held: str, *taken: str) -> str:
    return f"prediction_{held}" if held in taken else held


def _problems_of_making(found: Mapping[str, Any], name: TableName, *, is_gone: bool) -> Iterator[str]:
    if is_gone:
        yield (
            "it was renamed or dropped, although it has predictions: give it its name back, or name another table with "
            "into="
        )
    elif not found["has_schema"]:
        schema, owner = quoted(name.schema), quoted(found["owner"] or "the owner of the schema batchord")
        yield f"there is no schema {schema}: CREATE SCHEMA {schema}; GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner}"
    elif found["owner"] and not found["owner_may_make"]:
        yield (
            f"there is no such table, and {found['owner']} may not make it: GRANT USAGE, CREATE ON SCHEMA "
            f"{quoted(name.schema)} TO {quoted(found['owner'])}"
        )
    if found["has_schema"] and not found["may_enter"]:
        yield _lacks_usage(found, name)


def _lacks_usage(found: Mapping[str, Any], name: TableName) -> str:
    return (
        f"{found['me']} may not enter the schema: GRANT USAGE ON SCHEMA {quoted(name.schema)} TO {quoted(found['me'])}"
    )


def _problems_of_table(found: Mapping[str, Any], name: TableName) -> Iterator[str]:
    if found["kind"] not in ("r", "p"):
        yield f"it is {_KINDS.get(found['kind'], 'no table')}: name a table"
        return
    if found["persistence"] != "p":
        yield f"a crash of the server would empty it: ALTER TABLE {name} SET LOGGED"
    if not found["may_enter"]:
        yield _lacks_usage(found, name)
    if found["lacking"]:
        rights = ", ".join(found["lacking"])
        yield f"{found['me']} lacks rights: GRANT {rights} ON {name} TO {quoted(found['me'])}"
    if found["owner"] and not found["owner_may_read"]:
        yield (
            f"{found['owner']} may not read it for the views: GRANT USAGE ON SCHEMA {quoted(name.schema)} TO "
            f"{quoted(found['owner'])}; GRANT SELECT ON {name} TO {quoted(found['owner'])}"
        )
    if found["sees_few"]:
        yield (
            f"its row-level security would hide rows from {' and '.join(found['sees_few'])}: ALTER TABLE {name} "
            "DISABLE ROW LEVEL SECURITY, or let them bypass it"
        )


def _problems_of_columns(
    fit: Fit, columns: Mapping[str, Any], outputs: Sequence[OutputColumn], *, fills_in: bool
) -> Iterator[str]:
    missing = [
        f"ADD COLUMN {quoted(fit.columns[held])} {added}"
        for held, (_, added) in _NEEDED.items()
        if fit.columns[held] not in columns
    ]
    missing += [f"ADD COLUMN {quoted(each.name)} {each.type}" for each in outputs if each.name not in columns]
    if missing:
        yield f"it lacks columns: ALTER TABLE {fit.name} {', '.join(missing)}"
    for held, (types, _) in {**_NEEDED, **_OPTIONAL}.items():
        column = columns.get(fit.columns.get(held, ""))
        if column is None:
            continue
        if column["type"] not in types:
            yield f"its column {quoted(column['name'])} is of type {column['type']}, not {' or '.join(types)}"
        elif column["is_generated"]:
            yield f"its column {quoted(column['name'])} is generated, so that nobody can write it"
        elif held == "predicted_at" and not column["has_default"]:
            name = quoted(column["name"])
            yield f"its column {name} has no default: ALTER TABLE {fit.name} ALTER COLUMN {name} SET DEFAULT now()"
    written = {fit.key_column, *dict(fit.parts), *fit.columns.values(), *(each.name for each in outputs)}
    for column in columns.values():
        is_filled = column["has_default"] or column["is_identity"] or column["is_generated"] or fills_in
        if column["is_required"] and column["name"] not in written and not is_filled:
            yield f"its column {quoted(column['name'])} is NOT NULL and has no default: give it one"


def _problems_of_outputs(
    name: TableName, columns: Mapping[str, Any], outputs: Sequence[OutputColumn], *, is_shown: bool
) -> Iterator[str]:
    for wanted in outputs:
        column, own = columns.get(wanted.name), quoted(wanted.name)
        if column is None:
            continue
        if column["is_generated"]:
            yield f"its column {own} is generated, so that nobody can write it"
        elif not takes_values(column["full_type"], wanted.type):
            wrong = f"its column {own} is of type {column['full_type']}, not {wanted.type}"
            change = f"ALTER TABLE {name} ALTER COLUMN {own} TYPE {wanted.type} USING {own}::{wanted.type}"
            # The views read the column, and PostgreSQL keeps its type for them.
            yield f"{wrong}: declare that type, or name another table" if is_shown else f"{wrong}: {change}"


def _problems_of_key(fit: Fit, key: KeyColumn, columns: Mapping[str, Any]) -> Iterator[str]:
    column, name = columns.get(fit.key_column), quoted(fit.key_column)
    if column is None:
        yield f"it lacks the source's key: ALTER TABLE {fit.name} ADD COLUMN {name} {key.type} PRIMARY KEY"
        return
    if column["is_generated"]:
        yield f"its key {name} is generated: make it an ordinary column, which takes the source's key"
    if fit.key_type != key.type and (fit.has_text or not takes(fit.key_type, key.type)):
        yield (
            f"its key {name} is of type {fit.key_type}, and the source's of type {key.type}: ALTER TABLE {fit.name} "
            f"ALTER COLUMN {name} TYPE {key.type}"
        )
        return
    identity = column
    if fit.has_text:
        found = columns.get(fit.columns.get("record_key", ""))
        if found is None or found["type"] not in _TEXTS:
            record_key = quoted(_beside("record_key", fit.key_column))
            yield (
                f"a key of type {key.type} needs its text beside it: ALTER TABLE {fit.name} ADD COLUMN {record_key} "
                "text PRIMARY KEY; or make the key a text"
            )
            return
        identity = found
    if not (identity["is_unique"] and identity["is_required"]):
        own = quoted(identity["name"])
        yield f"{own} alone is no primary key of it: ALTER TABLE {fit.name} ADD PRIMARY KEY ({own})"

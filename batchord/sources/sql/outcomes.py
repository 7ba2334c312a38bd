"""Finds the outcomes of a source's records in the ledger, where both are in one database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

#: The tables of a step's predictions. A step has none until a plan of it holds a record. The author may not have let
#: the role of sources read a table with a name of the author's.
_TABLES = sa.text("""
    SELECT place.schema_name, place.table_name, place.key_column, place.key_type, place.has_earlier,
           relation.oid IS NOT NULL AND has_schema_privilege(home.oid, 'USAGE')
               AND has_table_privilege(relation.oid, 'SELECT') AND NOT row_security_active(relation.oid)
               AND EXISTS (SELECT FROM pg_catalog.pg_attribute AS own WHERE own.attrelid = relation.oid
                           AND own.attname = place.key_column AND NOT own.attisdropped) AS is_readable
    FROM batchord.results AS place
    LEFT JOIN pg_catalog.pg_namespace AS home ON home.nspname = place.schema_name
    LEFT JOIN pg_catalog.pg_class AS relation
           ON relation.relnamespace = home.oid AND relation.relname = place.table_name
    WHERE place.pipeline = :pipeline AND place.step = :step
""")
#: Types whose values compare with each other as their texts do.
_ALIKE = ({"smallint", "integer", "bigint"}, {"uuid"}, {"text", "character varying"})


@dataclass(frozen=True, kw_only=True)
class Place:
    """A table of predictions and its key."""

    table: sa.TableClause
    key_column: str
    key_type: str
    is_readable: bool


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Where the predictions and the rejections of one step are."""

    pipeline: str
    step: str
    #: The tables of predictions. The step may have none yet.
    places: Sequence[Place]
    #: Whether earlier releases may have predicted records of the step.
    has_earlier: bool

    def compare_with(self, key_type: str | None) -> bool:
        """Whether keys of this type can be compared with those of all tables."""
        return all(
            place.is_readable and any({key_type, place.key_type} <= alike for alike in _ALIKE) for place in self.places
        )

    def of(self, key: sa.ColumnElement[Any], text: sa.ColumnElement[str]) -> list[sa.Exists]:
        """The conditions of which one is true for a record with an outcome. ``text``: the ledger's for the ``key``."""
        found = [self._has_row("rejections", text)]
        if self.has_earlier:
            found.append(self._has_row("earlier_predictions", text))
        for place in self.places:
            own = place.table.alias()
            equal = text if place.key_type in ("text", "character varying") else key
            found.append(sa.exists().where(own.c[place.key_column] == equal))
        return found

    def _has_row(self, table: str, text: sa.ColumnElement[str]) -> sa.Exists:
        old = sa.table(table, *map(sa.column, ("pipeline", "step", "record_key")), schema="batchord").alias()
        # Compare with a function, not with "=". Then the planner uses no index by pipeline and step alone, and expects
        # a ninth of the table. With "=", it expects one row if the table has grown since its last ANALYZE, and reads
        # all rows of the step again for each key.
        equal = sa.func.pg_catalog.texteq
        named = {"pipeline": self.pipeline, "step": self.step}
        own = [equal(old.c[name], sa.bindparam(name, value, sa.Text, unique=True)) for name, value in named.items()]
        return sa.exists().where(old.c.record_key == text, *own)


def find_outcomes(connection: sa.Connection, pipeline: str, step: str) -> Outcomes:
    """Where the step's outcomes are at this moment."""
    rows = connection.execute(_TABLES, {"pipeline": pipeline, "step": step}).all()
    return Outcomes(
        pipeline=pipeline,
        step=step,
        places=[
            Place(
                table=sa.table(row.table_name, sa.column(row.key_column), schema=row.schema_name),
                key_column=row.key_column,
                key_type=row.key_type,
                is_readable=row.is_readable,
            )
            for row in rows
        ],
        has_earlier=not rows or any(row.has_earlier for row in rows),
    )

"""Finds the outcomes of a source's records in the ledger, where both are in one database."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

#: The table of a step's predictions. A step has none until a plan of it holds a record.
_TABLE = sa.text("""
    SELECT schema_name, table_name, key_column, key_type, has_earlier FROM batchord.results
    WHERE pipeline = :pipeline AND step = :step
""")
#: Types whose values compare with each other as their texts do.
_ALIKE = ({"smallint", "integer", "bigint"}, {"uuid"}, {"text", "character varying"})


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Where the predictions and the rejections of one step are."""

    pipeline: str
    step: str
    #: The table of predictions and its key; None: the step has none yet.
    table: sa.TableClause | None
    key_column: str
    key_type: str
    #: Whether earlier releases may have predicted records of the step.
    has_earlier: bool

    def compare_with(self, key_type: str | None) -> bool:
        """Whether keys of this type can be compared with those of the table."""
        return self.table is None or any({key_type, self.key_type} <= alike for alike in _ALIKE)

    def of(self, key: sa.ColumnElement[Any], text: sa.ColumnElement[str]) -> list[sa.Exists]:
        """The conditions of which one is true for a record with an outcome. ``text``: the ledger's for the ``key``."""
        found = [self._has_row("rejections", text)]
        if self.has_earlier:
            found.append(self._has_row("earlier_predictions", text))
        if self.table is not None:
            own = self.table.alias()
            equal = text if self.key_type in ("text", "character varying") else key
            found.append(sa.exists().where(own.c[self.key_column] == equal))
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
    row = connection.execute(_TABLE, {"pipeline": pipeline, "step": step}).first()
    if row is None:
        return Outcomes(pipeline=pipeline, step=step, table=None, key_column="", key_type="", has_earlier=True)
    return Outcomes(
        pipeline=pipeline,
        step=step,
        table=sa.table(row.table_name, sa.column(row.key_column), schema=row.schema_name),
        key_column=row.key_column,
        key_type=row.key_type,
        has_earlier=row.has_earlier,
    )

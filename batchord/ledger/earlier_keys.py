"""Reads the texts that earlier releases wrote for keys as keys of a step's table."""

from psycopg import sql

from batchord.core.run.key_columns import bounds
from batchord.core.run.results import ResultsTable

#: In CASE, so that PostgreSQL reads only such texts as numbers.
_WHOLE = """
    CASE WHEN record_key ~ '^(0|-?[1-9][0-9]{{0,18}})$'
         THEN CASE WHEN record_key::numeric BETWEEN {least} AND {greatest} THEN record_key END END
"""
_UUID = "CASE WHEN record_key ~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$' THEN record_key END"


def text_for(table: ResultsTable) -> sql.Composed:
    """The ledger's text by which the table has the key ``record_key``; NULL if it cannot have that key.

    A key of a type with one text for each value must have this text: ``007`` was the key of another source.
    """
    if table.has_text:
        return sql.SQL("batchord.key_text(record_key, {})").format(sql.Literal(table.key_type))
    if table.key_type == "uuid":
        return sql.SQL(_UUID).format()
    ends = bounds(table.key_type)
    if ends is None:
        return sql.SQL("record_key").format()
    least, greatest = map(sql.Literal, ends)
    return sql.SQL(_WHOLE).format(least=least, greatest=greatest)


def key_from(table: ResultsTable, text: str) -> sql.Composed:
    """The key itself, from the column ``text`` with what :func:`text_for` gave."""
    return sql.SQL("{}::{}").format(sql.SQL(text), sql.SQL(table.key_type))

r"""Binds the ``:name`` parameters of an author's statement.

Texts in quotes, quoted names and comments stay exactly as they are. Elsewhere ``::type`` is a cast, ``a[1:n]``
holds no parameter, and ``\:`` is a colon that begins none, as in ``a[\:n]``.
"""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from batchord.core.errors import ConfigurationError
from batchord.core.text.sql_text import Part, PartKind, code_of, lexis_of, parts_of

#: A parameter with a cast. SQLAlchemy recognises it only with a space in between.
_CAST = re.compile(r"(?<![:\w\\]):\w+(?=::)")

#: What SQLAlchemy takes for a parameter, and for an escaped colon.
_PARAMETER = re.compile(r"(?<![:\w\\])(?=:\w+(?!:))")
_ESCAPE = re.compile(r"(?=\\:\w*(?![:\w]))")

_SEVERAL = re.compile(r";\s*[^\s;]")
#: A statement whose body holds further statements.
_BODY = re.compile(r"\s*CREATE\b.*\bBEGIN\b", re.IGNORECASE | re.DOTALL)
_OF_TRANSACTIONS = re.compile(
    r"\s*(BEGIN|START\s+TRANSACTION|COMMIT|END|ABORT|ROLLBACK(?!(\s+(WORK|TRANSACTION))?\s+TO\b)|PREPARE\s+TRANSACTION)\b",
    re.IGNORECASE,
)

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def bound(sql: str, values: Mapping[str, Any], *, dialect: str) -> sa.TextClause:
    """The statement with its values bound; a value never becomes part of the text. Lists and dicts become JSON.

    Raises ConfigurationError if a parameter has no value, if the text has several statements, or if the statement
    begins or ends a transaction.
    """
    clause = clause_of(sql, dialect=dialect)
    names = list(clause.compile().params)
    for name in names:
        if name not in values:
            raise ConfigurationError(
                f"The statement names the parameter :{name}, which has no value. The parameters are: "
                f"{', '.join(sorted(values)) or 'none'}. Name one of these, add it to the step's params=, or write "
                f"\\:{name} if it is not a parameter:\n{sql.strip()}"
            )
    return clause.bindparams(*(_parameter(name, values[name]) for name in names))


def clause_of(sql: str, *, dialect: str) -> sa.TextClause:
    """The statement with parameters that have no values yet.

    Raises ConfigurationError if the text has several statements, or if it begins or ends a transaction.
    """
    lexis = lexis_of(dialect)
    _refuse_what_breaks_the_transaction(code_of(sql, lexis))
    return sa.text("".join(_written(part) for part in parts_of(sql, lexis)))


def _written(part: Part) -> str:
    """The part for SQLAlchemy. Outside of code, everything that looks like a parameter is escaped."""
    if part.kind is PartKind.CODE:
        return _CAST.sub(r"\g<0> ", part.text)
    return _PARAMETER.sub(r"\\", _ESCAPE.sub(r"\\", part.text))


def _refuse_what_breaks_the_transaction(code: str) -> None:
    if _SEVERAL.search(code) and not _BODY.match(code):
        raise ConfigurationError(
            "The step's sql= has several statements in one text, and only the rows of the last one would be used. "
            "Give a list with one text for each statement."
        )
    if match := _OF_TRANSACTIONS.match(code):
        raise ConfigurationError(
            f"The step's sql= has the statement {' '.join(match[1].split()).upper()}: leave it out. All statements of "
            "a step are one transaction, which is committed with the step. For several transactions, write several "
            "steps."
        )


def _parameter(name: str, value: Any) -> sa.BindParameter[Any]:
    if isinstance(value, dict | list | tuple):
        return sa.bindparam(name, value, _JSON)
    # Without a type: SQLAlchemy's types would add casts, and the driver knows the type.
    return sa.bindparam(name, value, sa.types.NullType())

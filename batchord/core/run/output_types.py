"""The types of columns for keys of a model's output, as PostgreSQL writes them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_BASES = (
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "real",
    "double precision",
    "numeric",
    "text",
    "character varying",
    "date",
    "time without time zone",
    "timestamp without time zone",
    "timestamp with time zone",
    "interval",
    "uuid",
    "bytea",
    "json",
    "jsonb",
)
#: The types of the extension pgvector. They always have a length.
VECTORS = ("vector", "halfvec")
_ALIASES = {
    "bool": "boolean",
    "int2": "smallint",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float": "double precision",
    "float8": "double precision",
    "decimal": "numeric",
    "varchar": "character varying",
    "time": "time without time zone",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
}
_WRITTEN = re.compile(r"([a-z][a-z0-9]*(?: [a-z]+)*) ?(?:\( ?([0-9]{1,8})(?: ?, ?([0-9]{1,8}))? ?\))? ?(\[ ?\])?")
#: The greatest sizes that PostgreSQL and pgvector take.
_MOST_CHARACTERS, _MOST_DIGITS, _MOST_NUMBERS = 10_485_760, 1000, 16_000
#: Each type, and the next wider one, which takes its values unchanged.
_WIDER = {
    "smallint": "integer",
    "integer": "bigint",
    "bigint": "numeric",
    "real": "double precision",
    "character varying": "text",
}


@dataclass(frozen=True, kw_only=True)
class OutputType:
    """The type of such a column."""

    base: str
    #: The greatest length of a text, digits and decimal places of a number, or the length of a vector.
    sizes: tuple[int, ...] = ()
    is_list: bool = False

    def __str__(self) -> str:
        """The type as PostgreSQL's ``format_type`` writes it."""
        sizes = f"({','.join(map(str, self.sizes))})" if self.sizes else ""
        return f"{self.base}{sizes}{'[]' if self.is_list else ''}"

    @property
    def is_vector(self) -> bool:
        """Whether the type is one of the extension pgvector."""
        return self.base in VECTORS


@dataclass(frozen=True, kw_only=True)
class OutputColumn:
    """A column for one key of a model's output."""

    #: The name of the key and of the column.
    name: str
    type: OutputType


def output_type(written: str) -> OutputType | None:
    """The type that an author writes as in SQL; None if it is none that such a column can have."""
    match = _WRITTEN.fullmatch(" ".join(written.lower().split()))
    if match is None:
        return None
    base = _ALIASES.get(match[1], match[1])
    sizes = tuple(int(size) for size in match.group(2, 3) if size is not None)
    if base == "numeric" and len(sizes) == 1:
        sizes = (*sizes, 0)
    found = OutputType(base=base, sizes=sizes, is_list=match[4] is not None)
    return found if _exists(found) else None


def takes_values(existing: str, wanted: OutputType) -> bool:
    """Whether a column of the type ``existing`` holds each value of the type ``wanted`` unchanged."""
    if existing == str(wanted):
        return True
    found = output_type(existing)
    if found is None or found.is_list is not wanted.is_list:
        return False
    base = wanted.base
    while base in _WIDER:
        if base == "character varying" == found.base:
            return not found.sizes or (bool(wanted.sizes) and found.sizes >= wanted.sizes)
        base = _WIDER[base]
        if base == found.base:
            return not found.sizes
    return base == "numeric" == found.base and not found.sizes


def lacking(existing: Mapping[str, str], columns: Iterable[OutputColumn]) -> list[OutputColumn]:
    """Those of the columns that are not among the ``existing``, or have a type there that does not fit."""
    return [each for each in columns if each.name not in existing or not takes_values(existing[each.name], each.type)]


def _exists(found: OutputType) -> bool:
    sizes = found.sizes
    if found.base in VECTORS:
        return len(sizes) == 1 and 1 <= sizes[0] <= _MOST_NUMBERS and not found.is_list
    if found.base == "character varying":
        return not sizes or (len(sizes) == 1 and 1 <= sizes[0] <= _MOST_CHARACTERS)
    if found.base == "numeric":
        return not sizes or (1 <= sizes[0] <= _MOST_DIGITS and sizes[1] <= sizes[0])
    return found.base in _BASES and not sizes

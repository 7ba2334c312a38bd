"""Predictions as rows of PostgreSQL's COPY."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

from batchord.core.errors import ConfigurationError
from batchord.core.reasons import Reason
from batchord.core.run.key_columns import unfitting, unfitting_columns
from batchord.core.run.leases import ShardLease
from batchord.core.run.predictions import Batch, Predictions
from batchord.core.run.records import Rejection, Scalar, record_key, storable
from batchord.core.run.results import Destination, ResultsTable
from batchord.ledger.key_parts import texts_of_columns

_NULL = r"\N"
_SPECIAL = re.compile(r"[\\\t\n\r]")
#: What a row of COPY holds behind the key, in this order.
_HELD = ("input_digest", "score", "writer", "label", "output")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Predictions as rows of PostgreSQL's COPY in its text format."""

    #: The keys of the records, and the ledger's texts for them.
    records: Sequence[Scalar]
    keys: list[str]
    lines: list[str]
    #: The columns for keys of the model's output, which stand last in each line.
    typed: Sequence[str] = ()


def with_fitting_keys(lease: ShardLease, batch: Batch) -> Batch:
    """The batch, with a rejection for each prediction whose key the step's table cannot hold. Usually there is none."""
    predictions = batch.predictions
    if not predictions.keys:
        return batch
    table = destination_of(lease).table
    types = [*table.parts.values()]
    wrong = (
        unfitting_columns(predictions.keys, types, by_text=table.has_key_text)
        if types
        else unfitting(predictions.keys, table.key_type)
    )
    if not wrong:
        return batch
    kept = [at for at, key in enumerate(predictions.keys) if key not in wrong]
    rejections = [
        Rejection(key=key, reason=Reason.UNFITTING_KEY, detail=_unfitting(table))
        for key in predictions.keys
        if key in wrong
    ]
    return replace(batch, predictions=predictions.only(kept), rejections=[*batch.rejections, *rejections])


def _unfitting(table: ResultsTable) -> str:
    if table.parts:
        columns = ", ".join(f"{name} ({kind})" for name, kind in table.parts.items())
        return (
            f"the key of {table.schema_name}.{table.table_name} is {columns}, and this key is too long, of another "
            "kind or beyond its range: convert it in the source, or give the step a new name"
        )
    return (
        f"the table {table.schema_name}.{table.table_name} has keys of type {table.key_type}, and this key is of "
        "another kind or beyond its range: convert the key in the source, or give the step a new name"
    )


def copied(lease: ShardLease, predictions: Predictions) -> Rows:
    """The predictions as rows for COPY. Call it before the transaction: escaping a million characters takes time."""
    if not predictions.keys:
        return Rows(records=[], keys=[], lines=[])
    destination = destination_of(lease)
    keys = [record_key(key) for key in predictions.keys]
    columns = (
        _key_columns(destination.table, predictions.keys, keys),
        map(str, predictions.digests),
        _texts(predictions.scores, repr),
        _labels(predictions.labels),
        _texts(predictions.outputs, lambda output: _escaped(json.dumps(output, allow_nan=False))),
    )
    writer = destination.writer
    held = destination.table.columns
    if "input_digest" in held and "output" in held:
        lines = [
            f"{key}\t{digest}\t{score}\t{writer}\t{label}\t{output}\n"
            for key, digest, score, label, output in zip(*columns, strict=True)
        ]
    else:
        wanted = [each in held for each in _HELD]
        lines = [
            "\t".join([key, *compress((digest, score, str(writer), label, output), wanted)]) + "\n"
            for key, digest, score, label, output in zip(*columns, strict=True)
        ]
    if predictions.typed:
        lines = _with_typed(lines, predictions)
    return Rows(records=predictions.keys, keys=keys, lines=lines, typed=[*predictions.typed])


def _with_typed(lines: Sequence[str], predictions: Predictions) -> list[str]:
    columns = [_texts(texts, _escaped) for texts in predictions.typed.values()]
    return ["\t".join([line[:-1], *typed]) + "\n" for line, *typed in zip(lines, *columns, strict=True)]


def _key_columns(table: ResultsTable, keys: Sequence[Scalar], texts: list[str]) -> list[str]:
    """The key's value, and behind it the ledger's text if the table has a column for it."""
    escaped = _escaped_all(texts)
    if table.parts:
        columns = ["\t".join(map(_escaped, each)) for each in texts_of_columns(table, keys)]
        if not table.has_key_text:
            return columns
        return [f"{text}\t{own}" for text, own in zip(escaped, columns, strict=True)]
    if not table.has_text:
        return escaped
    return [f"{_escaped(str(key))}\t{text}" for key, text in zip(keys, escaped, strict=True)]


def copied_names(table: ResultsTable, typed: Sequence[str]) -> list[str]:
    """The names of the columns of such a row."""
    held = ("record_key", *_HELD) if table.has_text else _HELD
    key = [table.key_column] if table.has_key_text else []
    return [*key, *table.parts, *(table.columns[each] for each in held if each in table.columns), *typed]


def destination_of(lease: ShardLease) -> Destination:
    """Where the lease's predictions go. Raises ConfigurationError if nobody has found that out."""
    if lease.work.destination is None:
        raise ConfigurationError(f"{lease} has no table for its predictions. Please report this.")
    return lease.work.destination


def _labels(labels: Sequence[str | None]) -> list[str]:
    # A classifier has few labels, so each is escaped only once.
    texts = {label: _NULL if label is None else _escaped(storable(label)) for label in set(labels)}
    return [texts[label] for label in labels]


def _texts(values: Sequence[Any], write: Callable[[Any], str]) -> Iterable[str]:
    return [_NULL if value is None else write(value) for value in values]


def _escaped_all(values: list[str]) -> list[str]:
    return [_escaped(value) for value in values] if _SPECIAL.search("".join(values)) else values


def _escaped(value: str) -> str:
    """``value`` with the escapes of COPY's text format."""
    if _SPECIAL.search(value) is None:
        return value
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")

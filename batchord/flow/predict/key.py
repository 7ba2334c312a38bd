"""The key of a step's source, as the column of the table that its predictions are written to."""

from collections.abc import Sequence

from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.sources import Source
from batchord.core.run.key_columns import KeyColumn, key_of_columns, type_of_keys
from batchord.core.run.leases import ShardLease
from batchord.core.run.output_types import lacking
from batchord.core.run.shards import ShardRange
from batchord.flow.parts import Parts


def key_column(declared: Source, reader: SourceReader, shards: Sequence[ShardRange]) -> KeyColumn:
    """The key's name and type. If the source does not say the type, the ends of ``shards`` show it."""
    if reader.key_parts:
        return key_of_columns(reader.key_parts)
    kind = reader.key_type
    if kind is None:
        kind = type_of_keys(end.key for shard in shards for end in (shard.first, shard.last))
    return KeyColumn(name=declared.key_name, type=kind)


def with_destination(parts: Parts, lease: ShardLease) -> ShardLease:
    """The lease with the table for its predictions, and with its columns for keys of the output.

    The table may be missing if an earlier release planned the step; columns, if earlier code did.

    Raises what the source raises, and as :meth:`batchord.ledger.shards.ShardsTable.settled` does.
    """
    destination = lease.work.destination
    declared = parts.catalog.get(lease.pipeline).predict_step(lease.step)
    columns = declared.output_columns
    if destination is not None and not lacking(destination.table.outputs, columns):
        return lease
    source = declared.source
    reader = parts.open_source(source, lease.work.window)
    own = ShardRange(first=lease.work.first, last=lease.work.last, planned=lease.work.planned)
    into = declared.into_table
    if destination is not None:  # the plan has chosen the table
        into = destination.table.name if destination.table.is_chosen else None
    return parts.ledger.shards.settled(lease, key_column(source, reader, [own]), into, columns)

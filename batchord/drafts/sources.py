"""The sources of drafts: a query over a table, and queries that bring their own rows."""

from batchord.drafts.pipeline_file import Argument
from batchord.drafts.proposal import Proposal
from batchord.drafts.python_text import WIDTH, block_literal, comment, literal
from batchord.sources.sql.tables import Column, Table

_QUERY = "QUERY"
_SAMPLE = "# Each row of the query is a record. Put a query over your own table here."


def sample_source(columns: str, rows: list[str]) -> Argument:
    """A source that needs no table: its query holds the rows, with ``id`` as key and ``created_at`` as arrival."""
    query = block_literal(
        [
            f"SELECT {columns}",
            "FROM (",
            "    VALUES",
            *(f"        {row}{',' if place < len(rows) else ''}" for place, row in enumerate(rows, start=1)),
            f") AS samples ({columns})",
        ]
    )
    return Argument(
        lines=_sql_source(
            key='"id",  # identifies a record: unique, never NULL',
            arrival='"created_at",  # orders records: a run reads only newer ones',
        ),
        names=frozenset({"SqlSource"}),
        constants=(f"{_SAMPLE}\n{_QUERY} = {query}",),
    )


def table_source(table: Table, proposal: Proposal, columns: list[Column]) -> Argument:
    """A source over a table: its key, its arrival and ``columns``."""
    shown = [*proposal.key_sql]
    shown += [] if proposal.arrival is None or proposal.arrival.quoted in shown else [proposal.arrival.quoted]
    shown += [column.quoted for column in columns if column.quoted not in shown]
    query = block_literal(_query(shown, table.quoted))
    arrival = settle = None
    if proposal.arrival is not None:
        arrival = f"{literal(proposal.arrival.name)},  # {comment(proposal.arrival_why)}"
    if proposal.needs_settle:
        settle = "timedelta(minutes=15),  # the longest time until a new row is visible"
    return Argument(
        lines=_sql_source(key=f"{_key(proposal.key)},  # {comment(proposal.key_why)}", arrival=arrival, settle=settle),
        names=frozenset({"SqlSource"}),
        imports=frozenset({"from datetime import timedelta"} if settle is not None else ()),
        constants=(f"# Each row is a record.\n{_QUERY} = {query}",),
    )


def _key(key: str | tuple[str, ...]) -> str:
    return literal(key) if isinstance(key, str) else f"[{', '.join(map(literal, key))}]"


def _query(columns: list[str], table: str) -> list[str]:
    line = f"SELECT {', '.join(columns)}"
    if len(line) + len("    ") <= WIDTH:
        return [line, f"FROM {table}"]
    return ["SELECT", *(f"    {each}," for each in columns[:-1]), f"    {columns[-1]}", f"FROM {table}"]


def _sql_source(*, key: str, arrival: str | None = None, settle: str | None = None) -> str:
    options = {"key": key, "arrival": arrival, "settle": settle}
    lines = [f"        {name}={value}" for name, value in options.items() if value is not None]
    return "\n".join(["    source=SqlSource(", f"        {_QUERY},", *lines, "    ),"])

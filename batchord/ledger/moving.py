"""Moves what earlier releases predicted into the tables of the steps, while everything runs.

One transaction moves the rows of a few blocks: it deletes each where it was and inserts it where it belongs. So every
snapshot shows a record in exactly one place, and a worker that dies leaves nothing half moved. ``moving_from`` of
``batchord.results`` says how far each step is; it is written in the same transaction.

The old table is read by blocks, in the order in which its rows were written, and not by keys: then an attempt's rows
lie together in the new table, too, and one pass serves all steps. A block that was read gets no other row of these
steps: nobody inserts rows any more, and nobody updates those of steps that are being moved.
"""

from collections.abc import Sequence

import psycopg
from psycopg import sql

from batchord.core.errors import TransientError
from batchord.core.process.fault_points import fault
from batchord.core.run.moving import MovedBatch, MovedStep, MoveProgress
from batchord.core.run.results import ResultsTable
from batchord.core.text.counts import counted
from batchord.database.texts import SAME_TEXTS
from batchord.ledger import move_statements as statements
from batchord.ledger.connection import Connection, Connections
from batchord.ledger.earlier_keys import key_from, text_for
from batchord.ledger.failures import PASSING
from batchord.ledger.results import columns_of, place, table_from, text_of_key, whole_output
from batchord.ledger.rows import one

#: How long a batch waits for somebody's lock.
_PATIENCE = "SET LOCAL lock_timeout = '2s'"
#: What a row holds besides its key, by the names of the columns of both tables.
_HELD = ("input_digest", "predicted_at", "score", "label", "output")


class MovingQueries:
    """Moves what earlier releases predicted into the tables of the steps."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def begin(self) -> bool:
        """Whether there is a row to move. Notes which steps are being moved from now on.

        Raises TransientError if somebody changes rows of the old table for seconds.
        """
        with self._connections.transaction() as connection:
            left = one(connection.execute(statements.LEFT).fetchone())
            if left["unbegun"]:
                connection.execute(_PATIENCE)
                connection.execute(statements.ALONE)
                connection.execute(statements.BEGIN)
            return bool(left["unbegun"] or left["begun"])

    def move(self, blocks: int) -> MovedBatch | None:
        """Moves the rows of the next ``blocks`` blocks, in one transaction.

        None if nothing is left to move, or if somebody else moves rows, or resets the steps that are left.

        Raises TransientError if a lock is not to be had, or if a record is written at the same moment.
        """
        with self._connections.transaction(writes_results=True) as connection:
            connection.execute("; ".join([_PATIENCE, *SAME_TEXTS]).encode())
            batch = _move(connection, blocks)
            fault("before-move-commit")
        fault("after-move-commit")
        return batch

    def progress(self) -> MoveProgress | None:
        """How far the steps are that have rows left to move; None if there are none."""
        with self._connections.transaction() as connection:
            row = one(connection.execute(statements.PROGRESS).fetchone())
            return MoveProgress(**row) if row["steps"] else None


class _NotKept(Exception):
    """Some rows did not arrive in the table."""


def _move(connection: Connection, blocks: int) -> MovedBatch | None:
    steps = connection.execute(statements.HOLD).fetchall()
    if not steps:
        return None
    first = steps[0]["moving_from"]
    here = [row for row in steps if row["moving_from"] == first]
    ids = [row["id"] for row in here]
    if first >= steps[0]["blocks"]:
        connection.execute(statements.HOLD_ALL, {"ids": ids})
        again = {row["id"] for row in connection.execute(statements.AGAIN, {"ids": ids})}
        ids = [each for each in ids if each not in again]
        ended = connection.execute(statements.END, {"ids": ids}).fetchall()
        return MovedBatch(predictions=0, ended=tuple(MovedStep(**row) for row in ended))
    # Steps that began later catch up with the others, and go on together with them.
    ahead = [row["moving_from"] for row in steps if row["moving_from"] > first]
    until = min([first + blocks, *ahead])
    connection.execute(statements.ADVANCE, {"until": until, "ids": ids})
    places = {"first": sql.Literal(f"({first},0)"), "end": sql.Literal(f"({until},0)")}
    rows = connection.execute(sql.SQL(statements.STEPS).format(**places)).fetchall()
    present = {(row["pipeline"], row["step"]) for row in rows}
    moved = 0
    given_up: list[MovedStep] = []
    for row in here:
        if (row["pipeline"], row["step"]) in present:
            step_moved, failed = _moved_or_given_up(connection, table_from(row), places)
            moved += step_moved
            given_up += failed
    return MovedBatch(predictions=moved, ended=tuple(given_up))


def _moved_or_given_up(
    connection: Connection, table: ResultsTable, places: dict[str, sql.Literal]
) -> tuple[int, Sequence[MovedStep]]:
    """Moves a step's rows. If its table refuses them, all that are left stay where they are, where they count, too."""
    try:
        with connection.transaction():
            return _move_step(connection, table, places), ()
    except PASSING:
        raise
    except (psycopg.Error, _NotKept) as error:
        if not table.is_chosen and isinstance(error, psycopg.errors.UniqueViolation | _NotKept):
            raise TransientError(f"Predictions of {table.step} are changed while they move: {error}") from error
        row = one(connection.execute(statements.GIVE_UP, {"id": table.id}).fetchone())
        return 0, [MovedStep(**row, error=str(error).partition("\n")[0])]


def _move_step(connection: Connection, table: ResultsTable, places: dict[str, sql.Literal]) -> int:
    parts = _parts(table) | places
    connection.execute(sql.SQL(statements.READ).format(**parts))
    counts = one(connection.execute(statements.COUNTS).fetchone())
    connection.execute(sql.SQL(statements.WRITERS).format(**parts))
    todo = ((statements.MOVE, "movable"), (statements.SWAP, "newer"), (statements.SUPERSEDE, "superseded"))
    for statement, count in todo:
        if counts[count] == 0:
            continue
        done = connection.execute(sql.SQL(statement).format(**parts)).rowcount
        if done != counts[count]:  # somebody changed the rows meanwhile, against the rules: nothing is moved
            raise _NotKept(f"{counted(counts[count], 'row')} should have moved, but {done} did")
        fault("in-move")
    if table.is_chosen:
        # What a constraint refuses at the end of the transaction would keep all steps from moving.
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        found = one(connection.execute(sql.SQL(statements.FOUND).format(**parts)).fetchone())["rows"]
        if found != counts["movable"] + counts["newer"]:
            arrived = counts["movable"] + counts["newer"]
            raise _NotKept(f"{counted(arrived, 'row')} should have arrived, but {found} did")
    connection.execute(statements.FORGET)
    moved: int = counts["movable"]
    connection.execute(statements.COUNT, {"id": table.id, "moved": moved, "kept": counts["kept"]})
    return moved


def _parts(table: ResultsTable) -> dict[str, sql.Composable]:
    """What the statements need to know of the table."""
    names = columns_of(table)
    key = sql.Identifier(table.key_column)
    columns: list[sql.Composable] = [key, *(names[each] for each in _HELD), names["writer"]]
    values = ["old.key", *(f"old.{each}" for each in _HELD), "writer.id"]
    if table.has_text:
        columns.append(names["record_key"])
        values.append("old.text")
    return {
        **names,
        "table": place(table),
        "results": sql.Literal(table.id),
        "pipeline": sql.Literal(table.pipeline),
        "step": sql.Literal(table.step),
        "text": text_for(table),
        "key": key_from(table, "text"),
        "own_text": text_of_key(table),
        "same": _same(table, "read.text"),
        "same_as_moving": _same(table, "moving.text"),
        "columns": sql.SQL(", ").join(columns),
        "values": sql.SQL(", ".join(values)),
        "whole_output": whole_output(table),
        "no_typed": sql.SQL("").join(sql.SQL(", {} = NULL").format(sql.Identifier(name)) for name in table.outputs),
    }


def _same(table: ResultsTable, text: str) -> sql.Composed:
    """The condition that a row of the table, with the alias ``row``, has the key with this text; by index."""
    if table.has_text:
        return sql.SQL("row.{} = {}").format(columns_of(table)["record_key"], sql.SQL(text))
    return sql.SQL("row.{} = {}").format(sql.Identifier(table.key_column), key_from(table, text))

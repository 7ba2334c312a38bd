"""Deletes what need not be kept any longer, some rows at a time."""

from datetime import datetime
from typing import Any, LiteralString

from psycopg import sql

from batchord.core.run.history import Change
from batchord.core.run.runs import CHOSEN
from batchord.ledger.connection import Connections
from batchord.ledger.history import keep_change
from batchord.ledger.results import all_tables, columns_of, place

#: The most rows of one transaction, so that locks are short and an interruption costs little.
_ROWS = 1000
# Deleting a run deletes its steps, shards and attempts, too. Ids of runs rise with time, so these rows lie together.
_RUNS = f"""
    DELETE FROM batchord.runs WHERE id IN (
        SELECT run.id FROM batchord.runs AS run
        WHERE run.state NOT IN ('queued', 'running')
          AND run.tallied  -- otherwise the counters of metrics would lose what it has counted
          AND (run.created_at < %(before)s
               OR (run.created_at < %(idle_before)s AND run.discovered = 0 AND run.state IN ('succeeded', 'skipped')
                   -- The run did nothing else than look for records.
                   AND NOT EXISTS (SELECT FROM batchord.steps AS step WHERE step.run_id = run.id
                                   AND NOT step.sharded AND NOT coalesce(step.output ? '{CHOSEN}', false)
                                   AND step.state = 'done')))
          -- Keep the newest scheduled run, which shows what fire times have passed, and the newest that succeeded.
          AND run.id <> ALL (
              SELECT newest.id FROM (
                  (SELECT id FROM batchord.runs WHERE pipeline = run.pipeline AND kind = 'scheduled'
                   AND slot IS NOT NULL ORDER BY slot DESC LIMIT 1)
                  UNION ALL
                  (SELECT id FROM batchord.runs WHERE pipeline = run.pipeline AND state = 'succeeded'
                   ORDER BY created_at DESC LIMIT 1)
              ) AS newest)
          -- Keep a run whose backlog has no follow-up run yet.
          AND NOT EXISTS (SELECT FROM batchord.steps AS step
                          WHERE step.run_id = run.id AND step.backlog_left AND step.state = 'done'
                          AND NOT EXISTS (SELECT FROM batchord.runs AS next
                                          WHERE next.request = 'backlog:' || run.id))
          -- Keep a follow-up run as long as the run before it: otherwise that backlog would get another follow-up run.
          AND NOT EXISTS (SELECT FROM batchord.runs AS before WHERE before.id =
                          CASE WHEN run.request LIKE 'backlog:%%' THEN split_part(run.request, ':', 2)::uuid END)
        LIMIT %(rows)s)
"""
_ALERTS = """
    DELETE FROM batchord.alerts WHERE id IN (
        SELECT id FROM batchord.alerts WHERE closed_at < %(before)s LIMIT %(rows)s)
"""
# The rows stay: a run that reads the whole source would predict a record without a prediction again.
_OUTPUTS = sql.SQL("""
    UPDATE {table} SET {cleared} WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM {table} WHERE {predicted_at} < %(before)s AND ({is_kept}) LIMIT %(rows)s))
""")
#: Not of rows that are being moved: these are read block by block, and a row that changes gets into another block. They
#: are cleared when they have moved.
_EARLIER_OUTPUTS = sql.SQL("""
    UPDATE batchord.earlier_predictions SET output = NULL WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM batchord.earlier_predictions AS old
        WHERE predicted_at < %(before)s AND output IS NOT NULL
          AND NOT EXISTS (SELECT FROM batchord.results AS step WHERE step.moving_from IS NOT NULL
                          AND step.pipeline = old.pipeline AND step.step = old.step)
        LIMIT %(rows)s))
""").format()
_HISTORY = """
    DELETE FROM batchord.history WHERE id IN (SELECT id FROM batchord.history WHERE at < %(before)s LIMIT %(rows)s)
"""
_AUDITS = """
    DELETE FROM batchord.audits WHERE id IN (SELECT id FROM batchord.audits WHERE at < %(before)s LIMIT %(rows)s)
"""


class PruningQueries:
    """Deletes what need not be kept any longer, a limited number of rows in each transaction."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def keep(self, change: Change | None) -> None:
        """Keeps the entry of a person who prunes, before pruning begins; does nothing for None."""
        with self._connections.transaction() as connection:
            keep_change(connection, change)

    def history(self, *, before: datetime) -> int:
        """Deletes entries of the history that are older than ``before``."""
        return self._changed(_HISTORY, before=before)

    def runs(self, *, before: datetime, idle_before: datetime) -> int:
        """Deletes ended runs older than ``before``, and those that did nothing and are older than ``idle_before``.

        The newest scheduled run of each pipeline stays: it shows which fire times have passed. So do runs that are not
        tallied yet.
        """
        return self._changed(_RUNS, before=before, idle_before=idle_before)

    def alerts(self, *, before: datetime) -> int:
        """Deletes alerts that were sent or given up before that time."""
        return self._changed(_ALERTS, before=before)

    def audits(self, *, before: datetime) -> int:
        """Deletes the findings of audits that are older than ``before``."""
        return self._changed(_AUDITS, before=before)

    def outputs(self, *, before: datetime) -> int:
        """Clears the output of predictions older than ``before``. Their rows stay, so nothing is predicted twice.

        Columns for keys of the output are cleared, too. In a table whose name the author has chosen, the author clears
        what need not be kept.
        """
        with self._connections.transaction() as connection:
            tables = all_tables(connection)
        statements = [_EARLIER_OUTPUTS]
        for table in (each for each in tables if not each.is_chosen):
            names = columns_of(table)
            kept = [names["output"], *map(sql.Identifier, table.outputs)]
            own = {
                "table": place(table),
                "predicted_at": names["predicted_at"],
                "cleared": sql.SQL(", ").join(sql.SQL("{} = NULL").format(column) for column in kept),
                "is_kept": sql.SQL(" OR ").join(sql.SQL("{} IS NOT NULL").format(column) for column in kept),
            }
            statements.append(_OUTPUTS.format(**own))
        return sum(self._changed(statement, before=before) for statement in statements)

    def _changed(self, statement: LiteralString | sql.Composed, **values: Any) -> int:
        total = 0
        while True:
            with self._connections.transaction() as connection:
                rows = connection.execute(statement, {**values, "rows": _ROWS}).rowcount
            total += rows
            if rows < _ROWS:
                return total

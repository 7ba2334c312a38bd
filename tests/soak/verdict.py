"""What is to be so at the end, asked of the database in plain SQL that shares no code with the product."""

from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from tests.exactly_once import Findings, findings
from tests.soak.sources import SOURCES

_COUNTS = """
    SELECT (SELECT count(*) FROM batchord.predictions WHERE pipeline = %(pipeline)s),
           (SELECT count(*) FROM batchord.rejections WHERE pipeline = %(pipeline)s),
           (SELECT count(*) FROM batchord.runs WHERE pipeline = %(pipeline)s),
           (SELECT count(*) FROM batchord.runs WHERE pipeline = %(pipeline)s AND trigger = 'audit'),
           (SELECT position::text FROM batchord.frontiers WHERE pipeline = %(pipeline)s)
"""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the database says of one pipeline."""

    records: int
    predicted: int
    rejected: int
    runs: int
    #: The frontier, as JSON; None where it has not moved.
    frontier: str | None
    findings: Findings
    #: Runs for what only an audit had found. The soak asks for no audit; beat sends one, at night.
    by_audit: int

    @property
    def clean(self) -> bool:
        """Whether the promise was kept."""
        return self.findings == Findings() and self.by_audit == 0 and self.records == self.predicted + self.rejected

    @property
    def others(self) -> int:
        """Findings besides those of records that are lost or there twice."""
        return sum(asdict(self.findings).values()) - self.findings.lost - self.findings.twice


def verdicts(database_url: str) -> dict[str, Verdict]:
    """The verdict of each pipeline at one moment. Ticks go on, so runs that have just begun are not findings."""
    with psycopg.connect(database_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return {source.table: _verdict(connection, source.table) for source in SOURCES}


def _verdict(connection: psycopg.Connection[Any], table: str) -> Verdict:
    (records,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)  # noqa: S608 -- our own name
    counts = connection.execute(_COUNTS, {"pipeline": table}).fetchone()
    assert counts is not None
    predicted, rejected, runs, by_audit, frontier = counts
    return Verdict(
        records=records,
        predicted=predicted,
        rejected=rejected,
        runs=runs,
        frontier=frontier,
        findings=findings(connection, table, table),
        by_audit=by_audit,
    )

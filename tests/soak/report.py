"""The report of a soak for people: its faults and results."""

from rich.console import Console
from rich.table import Table

from tests.acceptance.cluster import Cluster
from tests.soak.chaos import Chaos
from tests.soak.verdict import verdicts
from tests.soak.writers import Writers


def report(console: Console, cluster: Cluster, chaos: Chaos, writers: Writers) -> None:
    """Prints the faults, the counts of each pipeline, and other findings."""
    faults = Table("fault", "times", "nothing to harm")
    for name in sorted(chaos.injected | chaos.missed):
        faults.add_row(name, f"{chaos.injected[name]}", f"{chaos.missed[name]}")
    faults.add_section()
    faults.add_row("all", f"{chaos.injected.total()}", f"{chaos.missed.total()}")
    console.print(faults)
    columns = ("pipeline", "records", "predicted", "rejected", "runs", "lost", "twice", "by audit", "other findings")
    result = Table(*columns)
    for table, found in verdicts(cluster.database_url).items():
        counts = (found.records, found.predicted, found.rejected, found.runs, found.findings.lost)
        result.add_row(table, *map(str, (*counts, found.findings.twice, found.by_audit, found.others)))
        console.print(f"Frontier of {table}: {found.frontier}", highlight=False, markup=False)
    console.print(result)
    reasons = cluster.sql("SELECT reason, count(*) FROM batchord.rejections GROUP BY reason ORDER BY reason")
    states = cluster.sql("SELECT state, count(*) FROM batchord.runs GROUP BY state ORDER BY state")
    kinds = cluster.sql("SELECT trigger, count(*) FROM batchord.runs GROUP BY trigger ORDER BY trigger")
    console.print(f"Rejected: {_listed(reasons)}. Runs: {_listed(states)}; {_listed(kinds)}.")
    console.print(f"Rolled back: {writers.rolled_back}, and {writers.too_late} too late for settle=.")
    _report_locks(console, cluster, chaos)


def _report_locks(console: Console, cluster: Cluster, chaos: Chaos) -> None:
    readers = ("control", "control2", "worker", "worker2")
    given_up = sum(cluster.log(name).count("due to lock timeout") for name in readers)
    console.print(
        f"Locks of tables: {chaos.locks.held} during which another pipeline had a whole run, {chaos.locks.cut_short} "
        f"cut short by a restart; the logs tell {given_up} times of a read that gave up."
    )
    for table in chaos.locks.stood_still:
        console.print(f"FINDING: no other pipeline had a whole run while {table} was locked.")


def _listed(rows: list[tuple[object, ...]]) -> str:
    return ", ".join(f"{count} {name}" for name, count in rows) or "none"

"""The output of the demo: progress while it runs, and its results at the end."""

from dataclasses import dataclass
from typing import Any, TypedDict

import psycopg
from rich.table import Table

from app.cli.output import console, table
from app.cli.terminal import foreign, text
from batchord.core.run.runs import Run
from batchord.core.run.summary import rate
from batchord.flow.upkeep.audit import Audit, audit
from batchord.flow.upkeep.audit import as_json as counts
from demo.models import BuiltModel

PIPELINES = ("reviews", "news", "photos")
_ENOUGH_RUNS = 500
_RECORDS = """
    SELECT (SELECT count(*) FROM demo_reviews), (SELECT count(*) FROM demo_news), (SELECT count(*) FROM demo_photos)
"""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The present state of one pipeline."""

    pipeline: str
    #: Records in its table.
    records: int
    predicted: int
    rejected: int
    open: bool

    @property
    def finished(self) -> bool:
        """Whether every record is accounted for and no run is open."""
        return not self.open and self.predicted + self.rejected >= self.records


class Row(TypedDict):
    """One pipeline's share of the result."""

    pipeline: str
    model: str
    records: int
    predicted: int
    rejected: int
    #: Wall time of the shards of all runs that found records in this demo.
    seconds: float
    records_per_second: float | None
    labels: dict[str, int]
    rejections: dict[str, int]
    #: How many fresh records arrived, and how many the runs after that discovered.
    fresh: int
    fresh_discovered: int


class Results(TypedDict):
    """The results of the demo."""

    pipelines: list[Row]
    audit: dict[str, dict[str, int]]
    models: list[dict[str, Any]]
    flower: str
    clean: bool


def progress(connection: psycopg.Connection) -> list[Progress]:
    """The present state of all pipelines of the demo."""
    from batchord.wiring import ledger

    totals = {row["pipeline"]: row for row in ledger().reports.totals()}
    record_counts = connection.execute(_RECORDS).fetchone() or ()
    pipelines = []
    for place, name in enumerate(PIPELINES):
        row = totals.get(name, {"predicted": 0, "rejected": 0, "open": False})
        pipelines.append(
            Progress(
                pipeline=name,
                records=record_counts[place],
                predicted=row["predicted"],
                rejected=row["rejected"],
                open=row["open"],
            )
        )
    return pipelines


def progress_table(pipelines: list[Progress]) -> Table:
    """The progress as a table for people."""
    drawn = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("pipeline", "records", "predicted", "rejected"):
        drawn.add_column(column, justify="left" if column == "pipeline" else "right", min_width=9)
    drawn.add_column("", min_width=30)
    for row in pipelines:
        share = (row.predicted + row.rejected) / row.records if row.records else 0.0
        bar = "━" * int(share * 28)
        rest = "━" * (28 - len(bar))
        done = (" done", "green") if row.finished else f" {share:.0%}" if share else " waits for its tick"
        cells = (f"{row.records:,}", f"{row.predicted:,}", f"{row.rejected:,}")
        drawn.add_row(row.pipeline, *cells, text((bar, "cyan"), (rest, "dim"), done))
    return drawn


def newest_run() -> str | None:
    """The id of the newest run; None without runs. Ids rise with time, so later runs have greater ids."""
    from batchord.wiring import ledger

    newest = ledger().reports.runs(limit=1)
    return newest[0].id if newest else None


def failed_run(since: str | None) -> Run | None:
    """A run after ``since`` that did not succeed."""
    from batchord.wiring import ledger

    for state in ("failed", "partial"):
        for run in ledger().reports.runs(state=state, limit=1):
            if since is None or run.id > since:
                return run
    return None


def collect(
    *, before: str | None, first: str | None, fresh: dict[str, int], models: list[BuiltModel], flower: str
) -> Results:
    """The results of the runs after ``before``. The runs after ``first`` could find only fresh records."""
    from batchord.wiring import ledger, parts

    runs = [run for run in ledger().reports.runs(limit=_ENOUGH_RUNS) if before is None or run.id > before]
    audits: dict[str, Audit] = {name: audit(parts(), pipeline=name)[0] for name in PIPELINES}
    rows = [
        _row(name, [run for run in runs if run.pipeline == name], audits[name], first=first, fresh=fresh[name])
        for name in PIPELINES
    ]
    clean = all(audited.clean and not audited.pending for audited in audits.values())
    exact = all(row["fresh"] == row["fresh_discovered"] for row in rows)
    return Results(
        pipelines=rows,
        audit={name: counts(audited) for name, audited in audits.items()},
        models=[{"name": model.name, "measure": model.measure, "accuracy": model.accuracy} for model in models],
        flower=flower,
        clean=clean and exact,
    )


def _row(name: str, runs: list[Run], audited: Audit, *, first: str | None, fresh: int) -> Row:
    steps = [step for run in runs if run.discovered for step in (run.summary or {})["steps"].values()]
    seconds = sum(step["elapsed"] or 0.0 for step in steps)
    accounted = sum(step["predicted"] + step["rejected"] for step in steps)
    return Row(
        pipeline=name,
        model=steps[0]["model"] if steps else "",
        records=audited.records,
        predicted=audited.predicted,
        rejected=audited.rejected,
        seconds=round(seconds, 1),
        records_per_second=rate(accounted, seconds),
        labels=_sum(step["labels"] for step in steps),
        rejections=_sum(step["rejections"] for step in steps),
        fresh=fresh,
        fresh_discovered=sum(run.discovered for run in runs if first is not None and run.id > first),
    )


def print_results(results: Results, *, seconds: float) -> None:
    """Prints the results for people, and what they can do next."""
    console.print()
    columns = ("pipeline", "model", ">records", ">predictions", ">rejections", ">seconds", ">records/s", ">fresh found")
    rows = [
        (
            row["pipeline"],
            row["model"],
            row["records"],
            row["predicted"],
            row["rejected"],
            row["seconds"],
            row["records_per_second"],
            f"{row['fresh_discovered']} of {row['fresh']}",
        )
        for row in results["pipelines"]
    ]
    table("Results", columns, rows, empty="No runs.", least=("rejections", "seconds"))
    console.print()
    for row in results["pipelines"]:
        most = sorted(row["labels"].items(), key=lambda item: -item[1])[:8]
        labels = ", ".join(f"{foreign(label)} {count:,}" for label, count in most)
        more = f" and {len(row['labels']) - len(most)} more" if len(row["labels"]) > len(most) else ""
        console.print(text((row["pipeline"], "bold"), f" labels: {labels}{more}"))
        if row["rejections"]:
            reasons = ", ".join(f"{reason} {count}" for reason, count in row["rejections"].items())
            console.print(f"  rejected: {reasons} (see `batchord rejections`)")
    console.print()
    audits = results["audit"].values()
    total, missing, twice = (sum(audited[name] for audited in audits) for name in ("records", "missing", "duplicated"))
    pending = sum(audited["pending"] for audited in audits)
    verdict = ("clean", "green") if results["clean"] else ("NOT CLEAN", "red")
    audit_counts = f": {total:,} records, {missing} missing, {twice} twice, {pending} pending."
    console.print(text("Audit: ", verdict, audit_counts))
    console.print(f"Done in {seconds:.0f} s; everything is stopped, the data stay in .batchord.\n")
    console.print("Go on: `.venv/bin/batchord up` starts the same stack in the background and prints Flower's address;")
    console.print("       `batchord runs`, `batchord show RUN` and `batchord audit` look at what it does;")
    console.print("       pipelines/ holds the three pipelines: change one, or add your own.")


def _sum(counts_of_steps: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for values in counts_of_steps:
        for name, count in values.items():
            total[name] = total.get(name, 0) + count
    return total

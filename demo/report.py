"""What the demo shows: progress while it runs, and at the end what it came to."""

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
    """One pipeline as it is now."""

    pipeline: str
    #: Records in its table.
    records: int
    predicted: int
    rejected: int
    open: bool

    @property
    def finished(self) -> bool:
        """Whether every record is accounted for and no run is at work."""
        return not self.open and self.predicted + self.rejected >= self.records


class Row(TypedDict):
    """One pipeline's share of the result."""

    pipeline: str
    model: str
    records: int
    predicted: int
    rejected: int
    #: Wall time of the shards of the runs that found records in this demo; records per second over it.
    seconds: float
    records_per_second: float | None
    labels: dict[str, int]
    rejections: dict[str, int]
    #: How many records arrived late, and how many the runs after that discovered.
    fresh: int
    fresh_discovered: int


class Results(TypedDict):
    """What the demo came to."""

    pipelines: list[Row]
    audit: dict[str, dict[str, int]]
    models: list[dict[str, Any]]
    flower: str
    clean: bool


def progress(connection: psycopg.Connection) -> list[Progress]:
    """Every demo pipeline as it is now."""
    from batchord.wiring import ledger

    written = {row["pipeline"]: row for row in ledger().reports.totals()}
    counted = connection.execute(_RECORDS).fetchone() or ()
    found = []
    for place, name in enumerate(PIPELINES):
        row = written.get(name, {"predicted": 0, "rejected": 0, "open": False})
        found.append(
            Progress(
                pipeline=name,
                records=counted[place],
                predicted=row["predicted"],
                rejected=row["rejected"],
                open=row["open"],
            )
        )
    return found


def progress_table(found: list[Progress]) -> Table:
    """The same for people."""
    drawn = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("pipeline", "records", "predicted", "rejected"):
        drawn.add_column(column, justify="left" if column == "pipeline" else "right", min_width=9)
    drawn.add_column("", min_width=30)
    for each in found:
        share = (each.predicted + each.rejected) / each.records if each.records else 0.0
        bar = "━" * int(share * 28)
        rest = "━" * (28 - len(bar))
        done = (" done", "green") if each.finished else f" {share:.0%}" if share else " waits for its tick"
        cells = (f"{each.records:,}", f"{each.predicted:,}", f"{each.rejected:,}")
        drawn.add_row(each.pipeline, *cells, text((bar, "cyan"), (rest, "dim"), done))
    return drawn


def newest_run() -> str | None:
    """The id of the newest run, which later ones are compared with: ids rise with time."""
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
    """What the runs after ``before`` came to; those after ``first`` had only fresh records to find."""
    from batchord.wiring import ledger, parts

    runs = [run for run in ledger().reports.runs(limit=_ENOUGH_RUNS) if before is None or run.id > before]
    audits: dict[str, Audit] = {name: audit(parts(), pipeline=name)[0] for name in PIPELINES}
    rows = [
        _row(name, [run for run in runs if run.pipeline == name], audits[name], first=first, fresh=fresh[name])
        for name in PIPELINES
    ]
    clean = all(found.clean and not found.pending for found in audits.values())
    exact = all(row["fresh"] == row["fresh_discovered"] for row in rows)
    return Results(
        pipelines=rows,
        audit={name: counts(found) for name, found in audits.items()},
        models=[{"name": model.name, "measure": model.measure, "accuracy": model.accuracy} for model in models],
        flower=flower,
        clean=clean and exact,
    )


def _row(name: str, runs: list[Run], found: Audit, *, first: str | None, fresh: int) -> Row:
    steps = [step for run in runs if run.discovered for step in (run.summary or {})["steps"].values()]
    seconds = sum(step["elapsed"] or 0.0 for step in steps)
    accounted = sum(step["predicted"] + step["rejected"] for step in steps)
    return Row(
        pipeline=name,
        model=steps[0]["model"] if steps else "",
        records=found.records,
        predicted=found.predicted,
        rejected=found.rejected,
        seconds=round(seconds, 1),
        records_per_second=rate(accounted, seconds),
        labels=_sum(step["labels"] for step in steps),
        rejections=_sum(step["rejections"] for step in steps),
        fresh=fresh,
        fresh_discovered=sum(run.discovered for run in runs if first is not None and run.id > first),
    )


def print_results(results: Results, *, seconds: float) -> None:
    """The result for people, and how to go on."""
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
        said = ", ".join(f"{foreign(label)} {count:,}" for label, count in most)
        more = f" and {len(row['labels']) - len(most)} more" if len(row["labels"]) > len(most) else ""
        console.print(text((row["pipeline"], "bold"), f" labels: {said}{more}"))
        if row["rejections"]:
            reasons = ", ".join(f"{reason} {count}" for reason, count in row["rejections"].items())
            console.print(f"  rejected: {reasons} (see `batchord rejections`)")
    console.print()
    checked = results["audit"].values()
    total, missing, twice = (sum(found[name] for found in checked) for name in ("records", "missing", "duplicated"))
    pending = sum(found["pending"] for found in checked)
    verdict = ("clean", "green") if results["clean"] else ("NOT CLEAN", "red")
    counts_told = f": {total:,} records, {missing} missing, {twice} twice, {pending} pending."
    console.print(text("Audit: ", verdict, counts_told))
    console.print(f"Done in {seconds:.0f} s; everything is stopped, the data stay in .batchord.\n")
    console.print("Go on: `.venv/bin/batchord up` starts the same stack in the background and prints Flower's address;")
    console.print("       `batchord runs`, `batchord show RUN` and `batchord audit` look at what it does;")
    console.print("       pipelines/ holds the three pipelines: change one, or add your own.")


def _sum(each: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for values in each:
        for name, count in values.items():
            total[name] = total.get(name, 0) + count
    return total

"""Proves that nothing is missing and nothing is twice: the full anti-join of source and ledger.

It needs no frontier and no assumption about positions: it reads every record of the source once, in chunks,
with constant memory, and asks the ledger about each.
"""

import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from app.core.alerts import AlertKind, NewAlert
from app.core.messages import AlertsKept, Message
from app.core.ports import Source
from app.core.records import Position, Scalar, record_key
from app.core.steps import Predict
from app.flow.parts import Parts
from app.flow.repair import BEGINNING, repair_missing

log = logging.getLogger(__name__)

CHUNK_ROWS = 10_000
#: Keys named per kind of finding; the counts are complete.
MOST_EXAMPLES = 20
#: A pipeline whose SQL uses its run's window is audited over all of time.
_ALL_TIME = (BEGINNING, datetime(9999, 12, 30, tzinfo=UTC))


@dataclass(kw_only=True)
class Audit:
    """What the audit of one pipeline found, over all its Predict steps."""

    records: int = 0
    predicted: int = 0
    rejected: int = 0
    #: Neither predicted nor rejected, but above the frontier or part of an open run: its turn will come.
    pending: int = 0
    #: Neither predicted nor rejected, and no scheduled run will look at it again.
    missing: int = 0
    #: More than one prediction or rejection.
    duplicated: int = 0
    #: Of those missing, records without a key or an arrival: no run can predict them until their row is mended.
    without_position: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing is missing and nothing is twice."""
        return not self.missing and not self.duplicated


def audit(parts: Parts, *, pipeline: str) -> tuple[Audit, dict[str, list[str]]]:
    """Counts, and examples of keys for each kind of finding."""
    declared = parts.catalog.get(pipeline)
    found = Audit()
    examples: dict[str, list[str]] = {"missing": [], "duplicated": []}
    for step in declared.predict_steps:
        _audit_step(parts, pipeline, step, found, examples)
    return found, {kind: keys for kind, keys in examples.items() if keys}


def audit_and_repair(parts: Parts, *, pipeline: str) -> list[Message]:
    """Audits a pipeline, keeps an alert of what it found, and opens a run for what is missing and can be predicted."""
    found, examples = audit(parts, pipeline=pipeline)
    if found.clean:
        return []
    said = f"The audit of {pipeline} found {found.missing} records missing and {found.duplicated} twice: {examples}"
    log.error("%s", said)
    day = parts.ledger.runs.now().date()
    parts.ledger.alerts.keep(
        NewAlert(
            event=f"{AlertKind.AUDIT}:{pipeline}:{day}",
            kind=AlertKind.AUDIT,
            pipeline=pipeline,
            title=f"{pipeline}: the audit is not clean",
            message=f"{said}\nLook closer: batchord audit {pipeline}",
        )
    )
    if found.missing <= found.without_position:
        return [AlertsKept()]
    return [AlertsKept(), *repair_missing(parts, pipeline=pipeline)[1]]


def _audit_step(parts: Parts, pipeline: str, step: Predict, found: Audit, examples: dict[str, list[str]]) -> None:
    source = parts.open_source(step.source, _ALL_TIME if step.source.uses_window else None)
    # Asked before the scan: a record that a run takes meanwhile is pending, not missing.
    open_run = parts.ledger.audit.has_open_run(pipeline)
    frontier = parts.ledger.planner.frontier(pipeline, step.name, step.source_digest).position
    for chunk in source.keys_for_audit(chunk_rows=CHUNK_ROWS):
        found.records += len(chunk)
        states = parts.ledger.audit.states(pipeline, step.name, [position.key for position in chunk])
        left: list[Position] = []
        for position in chunk:
            predictions, rejections = states.get(position.key, (0, 0))
            found.predicted += predictions > 0
            found.rejected += rejections > 0
            if predictions + rejections > 1:
                found.duplicated += 1
                _keep(examples["duplicated"], position.key)
            elif predictions + rejections == 0:
                left.append(position)
        undated = [position for position in left if _is_undated(position, step)]
        dated = [position for position in left if not _is_undated(position, step)] if undated else left
        behind = [] if open_run or frontier is None else _behind(source, dated, frontier)
        missing = behind + undated
        found.pending += len(left) - len(missing)
        found.missing += len(missing)
        found.without_position += len(undated)
        for position in missing:
            _keep(examples["missing"], position.key)
    if step.source.uses_window and not open_run:
        _past_windows(parts, pipeline, step, found, examples)
    if nameless := source.count_without_key():
        found.records += nameless
        found.missing += nameless
        found.without_position += nameless
        _keep(examples["missing"], f"{nameless} records whose {step.source.key} is NULL")


def _past_windows(parts: Parts, pipeline: str, step: Predict, found: Audit, examples: dict[str, list[str]]) -> None:
    """Where the SQL reads the run's window, what earlier windows held and nobody predicted is missing."""
    until = parts.ledger.audit.windows_until(pipeline)
    if until is None:
        return
    for chunk in parts.open_source(step.source, (_ALL_TIME[0], until)).keys_for_audit(chunk_rows=CHUNK_ROWS):
        states = parts.ledger.audit.states(pipeline, step.name, [position.key for position in chunk])
        for position in chunk:
            if position.key not in states:
                found.pending -= 1
                found.missing += 1
                _keep(examples["missing"], position.key)


def _is_undated(position: Position, step: Predict) -> bool:
    return position.arrival is None and step.source.arrival not in (None, step.source.key)


def _behind(source: Source, left: list[Position], frontier: Position) -> list[Position]:
    """Those of ``left`` (ascending) that no run will look at again."""
    if not left or not source.at_or_below(left[0], frontier):
        return []
    if source.at_or_below(left[-1], frontier):
        return left
    return [position for position in left if source.at_or_below(position, frontier)]


def _keep(examples: list[str], key: Scalar) -> None:
    if len(examples) < MOST_EXAMPLES:
        examples.append(record_key(key))


def as_json(found: Audit) -> dict[str, Any]:
    """The counts by name: the contract for programs."""
    counts = asdict(found)
    del counts["without_position"]
    return counts

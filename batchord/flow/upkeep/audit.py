"""Proves that nothing is missing and nothing is twice: the full anti-join of source and ledger.

It needs no frontier and no assumption about positions: it reads every record of the source once, in chunks,
with constant memory, and asks the ledger about each.
"""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.steps import Predict
from batchord.core.errors import BatchordError, TransientError
from batchord.core.run.alerts import AlertKind, NewAlert
from batchord.core.run.messages import AlertsKept, Message
from batchord.core.run.records import Position, Scalar, record_key
from batchord.core.text.counts import counted
from batchord.flow.begin.repair import BEGINNING, repair_missing
from batchord.flow.parts import Parts

log = logging.getLogger(__name__)

CHUNK_ROWS = 10_000
#: Keys named per kind of finding; the counts are complete.
MOST_EXAMPLES = 20
#: A pipeline whose source reads its run's window is audited over all of time.
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
    #: Steps whose records could not be compared, and why. The counts are those of the others.
    not_audited: dict[str, str] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether everything was compared, nothing is missing and nothing is twice."""
        return not self.missing and not self.duplicated and not self.not_audited

    def add(self, other: "Audit") -> None:
        """Counts what another step's audit counted."""
        for name, value in vars(other).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)


def audit(parts: Parts, *, pipeline: str) -> tuple[Audit, dict[str, list[str]]]:
    """Counts, and examples of keys for each kind of finding.

    A step whose source is away, broken, or raises anything is a result of its own, and ends the audit of no other.
    Raises UnknownPipeline, and TransientError when the ledger does not answer.
    """
    declared = parts.catalog.get(pipeline)
    found = Audit()
    examples: dict[str, list[str]] = {"missing": [], "duplicated": []}
    for step in declared.predict_steps:
        counted = Audit()
        named: dict[str, list[str]] = {kind: [] for kind in examples}
        try:
            _audit_step(parts, pipeline, step, counted, named)
        except Exception as error:
            parts.ledger.runs.now()  # raises where it is the ledger that is away
            if not isinstance(error, BatchordError):
                log.exception("The audit could not check step %s of %s", step.name, pipeline)
            said = str(error) if isinstance(error, BatchordError) else f"{type(error).__name__}: {error}"
            found.not_audited[step.name] = parts.mask(said)
            continue
        found.add(counted)
        for kind, keys in named.items():
            examples[kind] += keys[: MOST_EXAMPLES - len(examples[kind])]
    return found, {kind: keys for kind, keys in examples.items() if keys}


def audit_and_repair(parts: Parts, *, pipeline: str) -> list[Message]:
    """Audits a pipeline, keeps alerts of what it found and of what it could not look at.

    Opens a run for what is missing and can be predicted. Raises as :func:`audit` does.
    """
    found, examples = audit(parts, pipeline=pipeline)
    kept: list[Message] = []
    for step, why in found.not_audited.items():
        said = f"The audit could not check step {step} of {pipeline}: {why}"
        _keep_alert(parts, pipeline, f"not-audited:{step}", f"{pipeline}: the audit could not check step {step}", said)
        kept = [AlertsKept()]
    if found.missing or found.duplicated:
        missing = counted(found.missing, "record")
        said = f"The audit of {pipeline} found {missing} missing, {found.duplicated} duplicated: {examples}"
        _keep_alert(parts, pipeline, None, f"{pipeline}: the audit found missing or duplicated records", said)
        kept = [AlertsKept()]
    if found.missing > found.without_position:
        kept += repair_missing(parts, pipeline=pipeline)[1]
    return kept


def audit_all(parts: Parts) -> Iterator[list[Message]]:
    """Audits and repairs every pipeline, each by itself; gives what each wants sent.

    Raises TransientError when the ledger does not answer.
    """
    for name in parts.catalog.names():
        try:
            yield audit_and_repair(parts, pipeline=name)
        except TransientError:
            raise
        except Exception:  # such as a file that was broken meanwhile: it hides no other pipeline
            log.exception("%s could not be audited", name)
            said = f"The audit could not check {name}. The control worker's log has the error."
            _keep_alert(parts, name, "not-audited", f"{name}: the audit could not check it", said)
            yield [AlertsKept()]


def _keep_alert(parts: Parts, pipeline: str, what: str | None, title: str, said: str) -> None:
    log.error("%s", said)
    day = parts.ledger.runs.now().date()
    event = ":".join(filter(None, [AlertKind.AUDIT, pipeline, what, str(day)]))
    message = f"{said}\nLook closer: batchord audit {pipeline}"
    parts.ledger.alerts.keep(
        NewAlert(event=event, kind=AlertKind.AUDIT, pipeline=pipeline, title=title, message=message)
    )


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
        _keep(examples["missing"], f"{counted(nameless, 'record')} whose {step.source.key} is NULL")


def _past_windows(parts: Parts, pipeline: str, step: Predict, found: Audit, examples: dict[str, list[str]]) -> None:
    """Where the source reads the run's window, what earlier windows held and nobody predicted is missing."""
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


def _behind(source: SourceReader, left: list[Position], frontier: Position) -> list[Position]:
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

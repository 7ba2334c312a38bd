"""Compares every record of a source with the ledger, to prove that none is missing and none is duplicated.

It needs no frontier and makes no assumption about positions. It reads every record of the source once, in chunks and
with constant memory, and looks it up in the ledger.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.steps import Predict
from batchord.core.errors import BatchordError, TransientError
from batchord.core.run.alerts import AlertKind, NewAlert
from batchord.core.run.audits import AuditNote
from batchord.core.run.history import Actor
from batchord.core.run.messages import AlertsKept, Message
from batchord.core.run.records import Position, Scalar, record_key
from batchord.core.text.counts import counted
from batchord.core.text.error_text import message_of
from batchord.flow.begin.repair import BEGINNING, repair_missing
from batchord.flow.parts import Parts
from batchord.flow.upkeep.history import masked_actor

log = logging.getLogger(__name__)

CHUNK_ROWS = 10_000
#: The most keys that are named for each kind of finding. The counts are complete.
MOST_EXAMPLES = 20
#: A pipeline whose source reads its run's window is audited over all of time.
ALL_TIME = (BEGINNING, datetime(9999, 12, 30, tzinfo=UTC))


@dataclass(kw_only=True)
class Audit:
    """The findings of a pipeline's audit, as sums over all its Predict steps.

    Two steps may predict the same records. So with several steps, only the findings of each count records.
    """

    records: int = 0
    predicted: int = 0
    rejected: int = 0
    #: Records without a prediction or a rejection that a run will still read: above the frontier, or in an open run.
    pending: int = 0
    #: Records without a prediction or a rejection that no scheduled run will read again.
    missing: int = 0
    #: Records with more than one prediction or rejection.
    duplicated: int = 0
    #: Missing records whose key or arrival is NULL. No run can predict them until somebody corrects their row.
    without_position: int = 0
    #: Steps that the audit could not check, and why. The counts cover the other steps.
    not_audited: dict[str, str] = field(default_factory=dict)
    #: The findings of each step, and examples of keys for each kind of finding.
    steps: dict[str, tuple["Audit", dict[str, list[str]]]] = field(default_factory=dict, compare=False)

    @property
    def clean(self) -> bool:
        """Whether all steps were checked, and no record is missing or duplicated."""
        return not self.missing and not self.duplicated and not self.not_audited

    def add(self, other: "Audit") -> None:
        """Adds the counts of another step's audit."""
        for name, value in vars(other).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)


def audit(parts: Parts, *, pipeline: str) -> tuple[Audit, dict[str, list[str]]]:
    """The counts, and examples of keys for each kind of finding.

    If the source of a step is away or broken, the result names the step, and the audit of the other steps continues.
    Raises UnknownPipeline. Raises TransientError if the ledger does not answer.
    """
    declared = parts.catalog.get(pipeline)
    findings = Audit()
    examples: dict[str, list[str]] = {"missing": [], "duplicated": []}
    for step in declared.predict_steps:
        counted = Audit()
        named: dict[str, list[str]] = {kind: [] for kind in examples}
        try:
            _audit_step(parts, pipeline, step, counted, named)
        except Exception as error:
            parts.ledger.runs.now()  # raises if the ledger is away, not the source
            if not isinstance(error, BatchordError):
                log.exception("The audit could not check step %s of %s", step.name, pipeline)
            reason = message_of(error)
            findings.not_audited[step.name] = parts.mask(reason)
            counted.not_audited[step.name] = findings.not_audited[step.name]
            findings.steps[step.name] = (counted, {})
            continue
        findings.add(counted)
        findings.steps[step.name] = (counted, {kind: keys for kind, keys in named.items() if keys})
        for kind, keys in named.items():
            examples[kind] += keys[: MOST_EXAMPLES - len(examples[kind])]
    return findings, {kind: keys for kind, keys in examples.items() if keys}


def kept_audit(
    parts: Parts, *, pipeline: str, actor: Actor | None = None
) -> tuple[Audit, dict[str, list[str]], int, list[NewAlert]]:
    """Audits a pipeline, and keeps what was found, with alerts about it if no person asked.

    ``actor``: the person who asked; None: the daily audit. Returns the findings, the examples, the number under which
    the ledger keeps them, and the alerts. Raises as :func:`audit` does.
    """
    beginning = parts.ledger.runs.now()
    findings, examples = audit(parts, pipeline=pipeline)
    alerts = [] if actor is not None else list(_alerts(parts, pipeline, findings, examples))
    seconds = (parts.ledger.runs.now() - beginning).total_seconds()
    note = _note(pipeline, findings, examples, seconds=seconds, actor=masked_actor(parts, actor))
    return findings, examples, parts.ledger.audits.keep(note, alerts), alerts


def audit_and_repair(parts: Parts, *, pipeline: str) -> list[Message]:
    """Audits a pipeline, and keeps what was found and alerts about it, also about steps that could not be checked.

    Opens a run for missing records that can be predicted. Raises as :func:`audit` does.
    """
    findings, _, number, alerts = kept_audit(parts, pipeline=pipeline)
    messages: list[Message] = [AlertsKept()] if alerts else []
    if findings.missing > findings.without_position:
        run, started = repair_missing(parts, pipeline=pipeline)
        parts.ledger.audits.note_run(number, run.id)
        messages += started
    return messages


def _alerts(parts: Parts, pipeline: str, findings: Audit, examples: dict[str, list[str]]) -> Iterator[NewAlert]:
    for step, why in findings.not_audited.items():
        message = f"The audit could not check step {step} of {pipeline}: {why}"
        title = f"{pipeline}: the audit could not check step {step}"
        yield _alert(parts, pipeline, f"not-audited:{step}", title, message)
    if findings.missing or findings.duplicated:
        message = f"The audit of {pipeline} found {_described(findings, examples)}"
        yield _alert(parts, pipeline, None, f"{pipeline}: the audit found missing or duplicated records", message)


def _note(
    pipeline: str, findings: Audit, examples: dict[str, list[str]], *, seconds: float, actor: Actor | None
) -> AuditNote:
    several = len(findings.steps) > 1
    return AuditNote(
        pipeline=pipeline,
        seconds=seconds,
        **{name: getattr(findings, name) for name in ("records", "predicted", "rejected", "pending")},
        missing=findings.missing,
        duplicated=findings.duplicated,
        not_audited=findings.not_audited,
        steps={name: as_json(each) for name, (each, _) in findings.steps.items()} if several else {},
        examples=examples,
        actor=actor,
    )


def _described(findings: Audit, examples: dict[str, list[str]]) -> str:
    """The findings as the end of a sentence. With several steps, it names each step that has some."""
    if len(findings.steps) > 1:
        steps = {name: each for name, each in findings.steps.items() if each[0].missing or each[0].duplicated}
        return "; ".join(f"in step {name} {_described(*each)}" for name, each in steps.items())
    return f"{counted(findings.missing, 'record')} missing, {findings.duplicated} duplicated: {examples}"


def audit_all(parts: Parts) -> Iterator[list[Message]]:
    """Audits and repairs every pipeline, one after the other, and yields the messages for each.

    Raises TransientError if the ledger does not answer.
    """
    for name in parts.catalog.names():
        try:
            yield audit_and_repair(parts, pipeline=name)
        except TransientError:
            raise
        except Exception:  # such as a file that was broken meanwhile: the other pipelines are still audited
            log.exception("%s could not be audited", name)
            message = f"The audit could not check {name}. The control worker's log has the error."
            alert = _alert(parts, name, "not-audited", f"{name}: the audit could not check it", message)
            parts.ledger.audits.keep(AuditNote(pipeline=name, seconds=0.0, not_audited={"": message}), [alert])
            yield [AlertsKept()]


def _alert(parts: Parts, pipeline: str, what: str | None, title: str, message: str) -> NewAlert:
    log.error("%s", message)
    day = parts.ledger.runs.now().date()
    event = ":".join(filter(None, [AlertKind.AUDIT, pipeline, what, str(day)]))
    text = f"{message}\nLook closer: batchord audit {pipeline}"
    return NewAlert(event=event, kind=AlertKind.AUDIT, pipeline=pipeline, title=title, message=text)


def _audit_step(parts: Parts, pipeline: str, step: Predict, findings: Audit, examples: dict[str, list[str]]) -> None:
    source = parts.open_source(step.source, ALL_TIME if step.source.uses_window else None)
    # Check this before the scan: a record that a run takes meanwhile is pending, not missing.
    open_run = parts.ledger.audit.has_open_run(pipeline)
    frontier = parts.ledger.planner.frontier(pipeline, step.name, step.source_digest).position
    for chunk in source.keys_for_audit(chunk_rows=CHUNK_ROWS):
        findings.records += len(chunk)
        states = parts.ledger.audit.states(pipeline, step.name, [position.key for position in chunk])
        left: list[Position] = []
        for position in chunk:
            predictions, rejections = states.get(position.key, (0, 0))
            findings.predicted += predictions > 0
            findings.rejected += rejections > 0
            if predictions + rejections > 1:
                findings.duplicated += 1
                _keep(examples["duplicated"], position.key)
            elif predictions + rejections == 0:
                left.append(position)
        undated = [position for position in left if _is_undated(position, step)]
        dated = [position for position in left if not _is_undated(position, step)] if undated else left
        behind = [] if open_run or frontier is None else _behind(source, dated, frontier)
        missing = behind + undated
        findings.pending += len(left) - len(missing)
        findings.missing += len(missing)
        findings.without_position += len(undated)
        for position in missing:
            _keep(examples["missing"], position.key)
    if step.source.uses_window and not open_run:
        _past_windows(parts, pipeline, step, findings, examples)
    if nameless := source.count_without_key():
        findings.records += nameless
        findings.missing += nameless
        findings.without_position += nameless
        _keep(examples["missing"], f"{counted(nameless, 'record')} whose {step.source.key_name} is NULL")


def _past_windows(parts: Parts, pipeline: str, step: Predict, findings: Audit, examples: dict[str, list[str]]) -> None:
    """Counts unaccounted records of past windows as missing, for a source that reads its run's window."""
    until = parts.ledger.audit.windows_until(pipeline, step.name)
    if until is None:
        return
    for chunk in parts.open_source(step.source, (ALL_TIME[0], until)).keys_for_audit(chunk_rows=CHUNK_ROWS):
        states = parts.ledger.audit.states(pipeline, step.name, [position.key for position in chunk])
        for position in chunk:
            if position.key not in states:
                findings.pending -= 1
                findings.missing += 1
                _keep(examples["missing"], position.key)


def _is_undated(position: Position, step: Predict) -> bool:
    return position.arrival is None and step.source.arrival not in (None, step.source.key)


def _behind(source: SourceReader, left: list[Position], frontier: Position) -> list[Position]:
    """The positions of ``left`` (ascending) that no run will read again."""
    if not left or not source.at_or_below(left[0], frontier):
        return []
    if source.at_or_below(left[-1], frontier):
        return left
    return [position for position in left if source.at_or_below(position, frontier)]


def _keep(examples: list[str], key: Scalar) -> None:
    if len(examples) < MOST_EXAMPLES:
        examples.append(record_key(key))


def as_json(findings: Audit) -> dict[str, Any]:
    """The counts by name: the contract for programs."""
    counts = {name: value for name, value in vars(findings).items() if name not in ("without_position", "steps")}
    if len(findings.steps) > 1:
        counts["steps"] = {name: as_json(each) for name, (each, _) in findings.steps.items()}
    return counts

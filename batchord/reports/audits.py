"""The findings of audits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from batchord.core.run.history import Actor
from batchord.flow.upkeep.audit import Audit, as_json, kept_audit
from batchord.reports.listing import Listing, listed, number_of

if TYPE_CHECKING:
    from batchord.flow.parts import Parts
    from batchord.ledger import Ledger


class Verdict(StrEnum):
    """The result of an audit."""

    CLEAN = "clean"
    NOT_CLEAN = "NOT CLEAN"
    #: No record of the checked steps is missing or duplicated.
    NOT_AUDITED = "NOT AUDITED"


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """The findings of one pipeline's audit."""

    pipeline: str
    counts: Audit
    #: Some keys for each kind of finding. Only the counts are complete.
    examples: Mapping[str, Sequence[str]]
    #: The number under which the ledger keeps it.
    number: int

    @property
    def verdict(self) -> Verdict:
        """The result of the audit."""
        return verdict_of(self.counts)

    @property
    def rows(self) -> Sequence[tuple[str, Audit]]:
        """The findings by step. A pipeline without Predict steps has one row, without a step's name."""
        return [(step, counts) for step, (counts, _) in self.counts.steps.items()] or [("", self.counts)]

    @property
    def named_examples(self) -> Sequence[tuple[str, Mapping[str, Sequence[str]]]]:
        """The examples with where they are: the pipeline, and the step if there are several."""
        if len(self.counts.steps) <= 1:
            return [(self.pipeline, self.examples)]
        steps = self.counts.steps.items()
        return [(f"{self.pipeline}, step {step}", examples) for step, (_, examples) in steps]

    def as_json(self) -> dict[str, Any]:
        """The contract for programs."""
        return as_json(self.counts)


@dataclass(frozen=True, kw_only=True)
class PastAudit:
    """What an audit of a pipeline found."""

    id: int
    at: datetime
    pipeline: str
    seconds: float
    records: int
    predicted: int
    rejected: int
    pending: int
    missing: int
    duplicated: int
    #: Why steps could not be checked, by step. An empty name stands for the pipeline as a whole.
    not_audited: Mapping[str, str]
    #: The counts of each step of several.
    steps: Mapping[str, Mapping[str, Any]]
    examples: Mapping[str, Sequence[str]]
    #: The run that predicts what was missing.
    run_id: str | None
    #: Who asked, as the asking process says; all None: the daily audit.
    user: str | None
    host: str | None
    way: str | None

    @property
    def verdict(self) -> Verdict:
        """The result of the audit."""
        return verdict_of(self)

    @property
    def clean(self) -> bool:
        """Whether all steps were checked, and no record is missing or duplicated."""
        return not self.missing and not self.duplicated and not self.not_audited


def audits_before(
    ledger: "Ledger", *, pipeline: str | None = None, before: str | None = None, size: int
) -> Listing[PastAudit]:
    """A page of the past audits, the newest first. ``before``: the mark with which the page before it ended."""
    rows = ledger.lists.audits(pipeline=pipeline, before=number_of(before), limit=size + 1)
    return listed(rows, size=size, entry=lambda row: PastAudit(**row), mark=lambda row: str(row["id"]))


def verdict_of(counts: Audit | PastAudit) -> Verdict:
    """The result of an audit with these findings."""
    if counts.clean:
        return Verdict.CLEAN
    return Verdict.NOT_CLEAN if counts.missing or counts.duplicated else Verdict.NOT_AUDITED


def audits(parts: "Parts", pipelines: Iterable[str], *, actor: Actor) -> list[AuditReport]:
    """Audits each pipeline for ``actor``, and keeps what was found.

    Raises as :func:`batchord.flow.upkeep.audit.audit` does.
    """
    reports = []
    for pipeline in pipelines:
        counts, examples, number, _ = kept_audit(parts, pipeline=pipeline, actor=actor)
        reports.append(AuditReport(pipeline=pipeline, counts=counts, examples=examples, number=number))
    return reports

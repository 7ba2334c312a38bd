"""What audits found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from batchord.flow.upkeep.audit import Audit, as_json, audit

if TYPE_CHECKING:
    from batchord.flow.parts import Parts


class Verdict(StrEnum):
    """What an audit came to."""

    CLEAN = "clean"
    NOT_CLEAN = "NOT CLEAN"
    #: Nothing is missing or duplicated of what could be compared.
    NOT_AUDITED = "NOT AUDITED"


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """What the audit of one pipeline found."""

    pipeline: str
    counts: Audit
    #: Keys for each kind of finding; the counts are complete, these are not.
    examples: Mapping[str, Sequence[str]]

    @property
    def verdict(self) -> Verdict:
        """What it came to."""
        if self.counts.clean:
            return Verdict.CLEAN
        found = self.counts.missing or self.counts.duplicated
        return Verdict.NOT_CLEAN if found else Verdict.NOT_AUDITED

    def as_json(self) -> dict[str, Any]:
        """The contract for programs."""
        return as_json(self.counts)


def audits(parts: "Parts", pipelines: Iterable[str]) -> list[AuditReport]:
    """Audits each pipeline. Raises as :func:`batchord.flow.upkeep.audit.audit` does."""
    reports = []
    for pipeline in pipelines:
        counts, examples = audit(parts, pipeline=pipeline)
        reports.append(AuditReport(pipeline=pipeline, counts=counts, examples=examples))
    return reports

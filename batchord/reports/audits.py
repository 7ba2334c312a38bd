"""The findings of audits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from batchord.flow.upkeep.audit import Audit, as_json, audit

if TYPE_CHECKING:
    from batchord.flow.parts import Parts


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


def verdict_of(counts: Audit) -> Verdict:
    """The result of an audit with these findings."""
    if counts.clean:
        return Verdict.CLEAN
    return Verdict.NOT_CLEAN if counts.missing or counts.duplicated else Verdict.NOT_AUDITED


def audits(parts: "Parts", pipelines: Iterable[str]) -> list[AuditReport]:
    """Audits each pipeline. Raises as :func:`batchord.flow.upkeep.audit.audit` does."""
    reports = []
    for pipeline in pipelines:
        counts, examples = audit(parts, pipeline=pipeline)
        reports.append(AuditReport(pipeline=pipeline, counts=counts, examples=examples))
    return reports

"""What an audit found, as the ledger keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchord.core.run.history import Actor


@dataclass(frozen=True, kw_only=True)
class AuditNote:
    """The findings of one pipeline's audit. The counts are sums over its steps."""

    pipeline: str
    #: How long it took.
    seconds: float
    records: int = 0
    predicted: int = 0
    rejected: int = 0
    pending: int = 0
    missing: int = 0
    duplicated: int = 0
    #: Why steps could not be checked, by step. An empty name stands for the pipeline as a whole.
    not_audited: Mapping[str, str] = field(default_factory=dict)
    #: The counts of each step of several, by name.
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Some keys for each kind of finding.
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: Who asked for it; None: the daily audit.
    actor: Actor | None = None

"""Limits for rejections: of a step before it fails, and of a batch before its shard fails."""

from dataclasses import dataclass

from batchord.core.text.calls import NamesOptions

#: How many records of one batch may be rejected because of errors of the model, of the source or of the author's table:
#: this many, or the share below. If more fail, one of these is broken, not the records.
MOST_RECORDS = 5
MOST_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class RejectionLimit(NamesOptions):
    """A step fails when more than ``share`` of its records, and more than ``count`` of them, are rejected.

    Its predictions stay, so its run ends as partial, with an alert.

    Both limits must be exceeded: one corrupt image of two is half of the run, but no reason to wake anybody.

    Args:
        share: The share of the records, from 0 to 1.
        count: The number of the records.
    """

    share: float = 0.5
    count: int = 100

    def breached(self, *, discovered: int, rejected: int) -> bool:
        """Whether a step with these totals fails."""
        return rejected > self.count and rejected > self.share * discovered

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each."""
        problems = []
        if not isinstance(self.share, int | float) or not 0 <= self.share <= 1:
            problems.append(f"rejection_limit: share={self.share!r}: give a number from 0 to 1")
        if not isinstance(self.count, int):
            problems.append(f"rejection_limit: count={self.count!r}: give a whole number from 0")
        elif self.count < 0:
            problems.append(f"rejection_limit: count={self.count} is negative: give a whole number from 0")
        return problems

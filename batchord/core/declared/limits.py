"""How many rejections a step bears before it is called failed, and a batch before nothing of it is rejected."""

from dataclasses import dataclass

#: Records of one batch that may be rejected for errors of the model, or of the source: this many, or the share below.
#: When more fail, it is broken, not the records.
MOST_RECORDS = 5
MOST_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class RejectionLimit:
    """A step fails when more than ``share`` of its records, and more than ``count`` of them, are rejected.

    What it predicted stays, so its run ends as partial, with an alert.

    Both must be passed: one corrupt image among two is half of the run, and no reason to wake anybody.
    """

    share: float = 0.5
    count: int = 100

    def breached(self, *, discovered: int, rejected: int) -> bool:
        """Whether a step with these totals fails."""
        return rejected > self.count and rejected > self.share * discovered

    def problems(self) -> list[str]:
        """What is wrong with the declaration, one sentence each."""
        found = []
        if not isinstance(self.share, int | float) or not 0 <= self.share <= 1:
            found.append(f"rejection_limit: share={self.share!r}: give a number from 0 to 1")
        if not isinstance(self.count, int):
            found.append(f"rejection_limit: count={self.count!r}: give a whole number from 0")
        elif self.count < 0:
            found.append(f"rejection_limit: count={self.count} is negative: give a whole number from 0")
        return found

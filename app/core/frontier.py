"""The frontier: the position below which no record can still appear.

Discovery reads, in this order and each as a statement of its own: the greatest position visible (B), every
transaction running (V), then all positions above the frontier. A record at or below B that the scan did not
see got its position before B was read, in a transaction that was open during the scan, so it is in V. When
no transaction of V runs any longer, every record at or below B is visible; when the run has accounted for
all that it saw as well, nothing at or below B is left to do, and the frontier moves up to B.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from app.core.records import Position

#: Candidates kept at the most; a transaction that stays open for days must not grow the ledger's row.
MAX_CANDIDATES = 64
#: How a source names the transaction of a session, as opposed to a prepared one.
SESSION_PREFIX = "vx:"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A position that the frontier may move to, and what it waits for."""

    #: B.
    position: Position
    #: What is left of V.
    transactions: frozenset[str]
    #: When B was read, by the ledger's clock.
    seen_at: datetime
    #: The run whose scan followed; it must account for every record that it saw.
    run_id: str

    def to_json(self) -> dict[str, Any]:
        """The candidate as JSON values."""
        return {
            "position": self.position.to_json(),
            "transactions": sorted(self.transactions),
            "seen_at": self.seen_at.isoformat(),
            "run_id": self.run_id,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Candidate":
        """The inverse of :meth:`to_json`."""
        return cls(
            position=Position.from_json(value["position"]),
            transactions=frozenset(value["transactions"]),
            seen_at=datetime.fromisoformat(value["seen_at"]),
            run_id=value["run_id"],
        )


@dataclass(frozen=True, kw_only=True)
class Frontier:
    """Where a step's discovery starts, and the candidates for where it will start next."""

    #: None until the first candidate is settled: discovery then scans everything.
    position: Position | None = None
    #: Oldest first.
    candidates: tuple[Candidate, ...] = ()

    def propose(self, candidate: Candidate) -> "Frontier":
        """The frontier with one more candidate. When there are too many, the second newest gives way."""
        kept = self.candidates if len(self.candidates) < MAX_CANDIDATES else self.candidates[:-1]
        return replace(self, candidates=(*kept, candidate))

    def settle(
        self,
        *,
        running: frozenset[str],
        prepared: frozenset[str],
        accounted_runs: frozenset[str],
        ended_runs: frozenset[str],
        now: datetime,
        settle: timedelta | None,
    ) -> "Frontier":
        """The frontier moved up to the newest candidate that waits for nothing any more.

        Args:
            running: every transaction running now.
            prepared: those of them that are prepared, read after the others.
            accounted_runs: runs that accounted for every record that they saw.
            ended_runs: runs that ended, accounted or not; a candidate of any other ended run is dropped.
            now: the ledger's clock.
            settle: where positions do not follow transactions, how long after B was read a record at or
                below it may still appear; None where V tells.
        """
        position = self.position
        waiting: list[Candidate] = []
        for candidate in self.candidates:
            if candidate.run_id in ended_runs - accounted_runs:
                continue
            left = _still_open(candidate.transactions, running, prepared)
            settled = not left and (settle is None or candidate.seen_at + settle <= now)
            if settled and candidate.run_id in accounted_runs:
                position, waiting = candidate.position, []
            else:
                waiting.append(replace(candidate, transactions=left))
        return replace(self, position=position, candidates=tuple(waiting))


def _still_open(waited_for: frozenset[str], running: frozenset[str], prepared: frozenset[str]) -> frozenset[str]:
    """What is left of V.

    A session's transaction that vanished may have become a prepared one, under another name. Which one
    cannot be told, so all prepared now take its place. A prepared transaction keeps its name to the end, so
    when it vanishes it is over: the set shrinks even on a server that is never without prepared ones.
    """
    left = waited_for & running
    vanished_sessions = any(name.startswith(SESSION_PREFIX) for name in waited_for - running)
    return left | prepared if vanished_sessions else left

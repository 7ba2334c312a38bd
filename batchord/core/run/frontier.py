"""The frontier: the position below which no record can still appear and none is left to do.

Discovery reads, in this order and each as a statement of its own: the greatest position visible (B), every
transaction running (V), then all positions above the frontier. A record at or below B that the scan does not
see got its position before B was read, in a transaction that was open during the scan, so it is in V. Once
no transaction of V runs any longer, every record at or below B is visible, but not yet seen: it takes one
more scan, begun after that, from the frontier as it was. When the run of that scan has accounted for all
that it saw, nothing at or below B is left to do, and the frontier moves up to B.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from batchord.core.run.records import Position

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
    #: The run whose scan began when no transaction of V ran any longer; None while there was no such scan.
    scanned_by: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The candidate as JSON values."""
        return {
            "position": self.position.to_json(),
            "transactions": sorted(self.transactions),
            "seen_at": self.seen_at.isoformat(),
            "scanned_by": self.scanned_by,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Candidate":
        """The inverse of :meth:`to_json`."""
        return cls(
            position=Position.from_json(value["position"]),
            transactions=frozenset(value["transactions"]),
            seen_at=datetime.fromisoformat(value["seen_at"]),
            scanned_by=value["scanned_by"],
        )


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What was seen before a scan, by the run that is about to scan."""

    run_id: str
    #: Every transaction running now.
    running: frozenset[str]
    #: Those of them that are prepared, read after the others.
    prepared: frozenset[str]
    #: The ledger's clock.
    now: datetime
    #: Where positions do not follow transactions: how long after B was read a record at or below it may still
    #: appear. None where V tells.
    settle: timedelta | None = None

    def closed(self, candidate: Candidate) -> bool:
        """Whether no record at or below the candidate's position can still appear."""
        waited = self.settle is None or candidate.seen_at + self.settle <= self.now
        return waited and not candidate.transactions


@dataclass(frozen=True, kw_only=True)
class Frontier:
    """Where a step's discovery starts, and the candidates for where it will start next."""

    #: None until the first candidate is settled: discovery then scans everything.
    position: Position | None = None
    #: Oldest first.
    candidates: tuple[Candidate, ...] = ()

    def settle(self, sighting: Sighting, *, accounted_runs: frozenset[str], ended_runs: frozenset[str]) -> "Frontier":
        """The frontier from which the run of ``sighting`` must scan.

        It moves up to the newest candidate whose last scan belongs to a run that accounted for all it saw.
        Candidates that wait for nothing any more are left to the coming scan; so are those whose scan belongs
        to a run that ended without accounting for all.
        """
        position = self.position
        waiting: list[Candidate] = []
        for candidate in self.candidates:
            if candidate.scanned_by in accounted_runs:
                position, waiting = candidate.position, []
            elif candidate.scanned_by is None or candidate.scanned_by in ended_runs:
                left = _still_open(candidate.transactions, sighting)
                waiting.append(_scanned(replace(candidate, transactions=left), sighting))
            else:
                waiting.append(candidate)
        return replace(self, position=position, candidates=tuple(waiting))

    def propose(self, position: Position, sighting: Sighting) -> "Frontier":
        """The frontier with one more candidate: the scan of ``sighting`` covered all up to ``position``.

        When there are too many candidates, the newest gives way: the oldest are the closest to their end.
        """
        candidate = Candidate(position=position, transactions=sighting.running, seen_at=sighting.now)
        kept = self.candidates[: MAX_CANDIDATES - 1]
        return replace(self, candidates=(*kept, _scanned(candidate, sighting)))

    def without(self, lies_beyond: Callable[[Position], bool]) -> "Frontier":
        """The frontier without positions that nothing can follow; if it stood at one itself, from the beginning."""
        kept = tuple(candidate for candidate in self.candidates if not lies_beyond(candidate.position))
        lost = self.position is not None and lies_beyond(self.position)
        return Frontier(position=None if lost else self.position, candidates=kept)

    def unscanned(self, run_id: str) -> "Frontier":
        """The frontier for a scan of ``run_id`` that ended early: it covered no candidate."""
        reopened = [
            replace(candidate, scanned_by=None) if candidate.scanned_by == run_id else candidate
            for candidate in self.candidates
        ]
        return replace(self, candidates=tuple(reopened))


def _scanned(candidate: Candidate, sighting: Sighting) -> Candidate:
    return replace(candidate, scanned_by=sighting.run_id if sighting.closed(candidate) else None)


def _still_open(waited_for: frozenset[str], sighting: Sighting) -> frozenset[str]:
    """What is left of V.

    A session's transaction that vanished may have become a prepared one, under another name. Which one
    cannot be told, so all prepared now take its place. A prepared transaction keeps its name to the end, so
    when it vanishes it is over: the set shrinks even on a server that is never without prepared ones.
    """
    left = waited_for & sighting.running
    vanished_sessions = any(name.startswith(SESSION_PREFIX) for name in waited_for - sighting.running)
    return left | sighting.prepared if vanished_sessions else left

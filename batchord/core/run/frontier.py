"""The frontier: the position below which no record can still appear and none is left to predict.

Discovery reads, in this order and each as a statement of its own: the greatest position visible (B), every running
transaction (V), then all positions above the frontier. Take a record at or below B that the scan does not see. It got
its position before B was read, in a transaction that was still open during the scan, so this transaction is in V. Once
no transaction of V is running any more, every record at or below B is visible, but not yet seen. It takes one more
scan, begun after that, from the same frontier. When the run of that scan has accounted for all records that it saw,
nothing at or below B is left to predict, and the frontier moves up to B.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from batchord.core.run.records import Position

#: The most candidates kept. A transaction that stays open for days must not make the ledger's row grow.
MAX_CANDIDATES = 64
#: How the name of a session's transaction begins in a source; a prepared transaction has another name.
SESSION_PREFIX = "vx:"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A position that the frontier may move to, and what must happen first."""

    #: B.
    position: Position
    #: The transactions of V that may still be running.
    transactions: frozenset[str]
    #: When B was read, by the ledger's clock.
    seen_at: datetime
    #: The run whose scan began after all transactions of V had ended; None as long as there is no such scan.
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
    """What a run saw right before its scan."""

    run_id: str
    #: Every transaction that is running now.
    running: frozenset[str]
    #: The prepared ones among them. They were read after the others.
    prepared: frozenset[str]
    #: The time by the ledger's clock.
    now: datetime
    #: For positions that do not follow transactions: how long after B was read a record at or below B may still appear.
    #: None if V is enough to tell.
    settle: timedelta | None = None

    def closed(self, candidate: Candidate) -> bool:
        """Whether no record at or below the candidate's position can still appear."""
        waited = self.settle is None or candidate.seen_at + self.settle <= self.now
        return waited and not candidate.transactions


@dataclass(frozen=True, kw_only=True)
class Frontier:
    """Where a step's discovery starts, and the candidates for where it will start next."""

    #: None until the first candidate has become the frontier: until then, discovery scans the whole source.
    position: Position | None = None
    #: Oldest first.
    candidates: tuple[Candidate, ...] = ()

    def settle(self, sighting: Sighting, *, accounted_runs: frozenset[str], ended_runs: frozenset[str]) -> "Frontier":
        """The frontier from which the run of ``sighting`` must scan.

        It moves up to the newest candidate whose scan belongs to a run that has accounted for all records it saw. The
        coming scan covers the candidates whose transactions have all ended. It also covers those whose earlier scan
        belongs to a run that ended without accounting for all records.
        """
        position = self.position
        waiting: list[Candidate] = []
        for candidate in self.candidates:
            if candidate.scanned_by in accounted_runs:
                position, waiting = candidate.position, []
            elif candidate.scanned_by is None or candidate.scanned_by in ended_runs:
                still_open = _still_open(candidate.transactions, sighting)
                waiting.append(_scanned(replace(candidate, transactions=still_open), sighting))
            else:
                waiting.append(candidate)
        return replace(self, position=position, candidates=tuple(waiting))

    def propose(self, position: Position, sighting: Sighting) -> "Frontier":
        """The frontier with one more candidate: the scan of ``sighting`` covered everything up to ``position``.

        If there are too many candidates, this one replaces the newest: the oldest will become the frontier soonest.
        """
        candidate = Candidate(position=position, transactions=sighting.running, seen_at=sighting.now)
        kept = self.candidates[: MAX_CANDIDATES - 1]
        return replace(self, candidates=(*kept, _scanned(candidate, sighting)))

    def without(self, lies_beyond: Callable[[Position], bool]) -> "Frontier":
        """The frontier without positions beyond the present, to which a stray led: its own and its candidates'."""
        kept = tuple(candidate for candidate in self.candidates if not lies_beyond(candidate.position))
        is_beyond = self.position is not None and lies_beyond(self.position)
        return Frontier(position=None if is_beyond else self.position, candidates=kept)

    def unscanned(self, run_id: str) -> "Frontier":
        """The frontier after the scan of ``run_id`` ended early: this scan covers no candidate."""
        reopened = [
            replace(candidate, scanned_by=None) if candidate.scanned_by == run_id else candidate
            for candidate in self.candidates
        ]
        return replace(self, candidates=tuple(reopened))


def _scanned(candidate: Candidate, sighting: Sighting) -> Candidate:
    return replace(candidate, scanned_by=sighting.run_id if sighting.closed(candidate) else None)


def _still_open(waited_for: frozenset[str], sighting: Sighting) -> frozenset[str]:
    """The transactions of V that may still be open.

    A session's transaction that vanished may have become a prepared one, under another name. Nobody can tell which
    one, so all transactions that are prepared now take its place. A prepared transaction keeps its name to the end. So
    when it vanishes it is over, and the set shrinks even on a server that always has prepared transactions.
    """
    still_running = waited_for & sighting.running
    vanished_sessions = any(name.startswith(SESSION_PREFIX) for name in waited_for - sighting.running)
    return still_running | sighting.prepared if vanished_sessions else still_running

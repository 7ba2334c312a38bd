"""The local stack: its servers and processes, and whether all of them run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from batchord.catalog import Problem
from batchord.core.text.counts import counted

_RUNNING = "running"


@dataclass(frozen=True, kw_only=True)
class ServerReport:
    """One server that the stack starts."""

    name: str
    state: str
    pid: int | None
    address: str | None


@dataclass(frozen=True, kw_only=True)
class ProcessReport:
    """One process that the stack keeps."""

    name: str
    state: str
    pid: int | None
    restarts: int
    #: Seconds since its last start.
    uptime: float

    @property
    def history(self) -> str:
        """For how long it has run, and how often it was started again."""
        up_for = f"for {self.uptime:.0f} s" if self.state == _RUNNING else ""
        return up_for + (f", restarted {counted(self.restarts, 'time')}" if self.restarts else "")


@dataclass(frozen=True, kw_only=True)
class StackReport:
    """The local stack as it is now."""

    servers: Sequence[ServerReport]
    processes: Sequence[ProcessReport]
    #: The address at which Flower was last started.
    flower: str | None
    #: The problems in pipeline files.
    problems: Sequence[Problem]
    #: Remarks for people. They are not problems.
    remarks: Sequence[str]
    #: Whether the configured database accepts a connection; True if none is configured.
    database_usable: bool

    @property
    def started(self) -> bool:
        """Whether any server or process of the stack runs."""
        return any(each.pid for each in self.servers) or any(each.pid for each in self.processes)

    @property
    def well(self) -> bool:
        """Whether all servers and processes run, and no file has a problem."""
        states = [each.state for each in self.servers] + [each.state for each in self.processes]
        running = bool(self.processes) and all(state == _RUNNING for state in states)
        return running and self.database_usable and not self.problems

    def flower_at(self, process: ProcessReport) -> str | None:
        """Flower's address, if ``process`` is Flower and runs."""
        return self.flower if process.name == "flower" and process.state == _RUNNING else None

    def as_json(self) -> dict[str, Any]:
        """The contract for programs."""
        fields = asdict(self) | {"well": self.well}
        del fields["database_usable"]
        return fields

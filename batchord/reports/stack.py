"""The local stack: its servers and processes, and whether all of them run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from batchord.catalog import Problem

_RUNNING = "running"
#: Units of time, in seconds.
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


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
    def running_for(self) -> str | None:
        """For how long it has run since its last start, in the largest unit that says enough; None if it does not."""
        if self.state != _RUNNING:
            return None
        seconds, unit = next((each for each in _UNITS if self.uptime >= 2 * each[0]), (1, "s"))
        return f"{self.uptime // seconds:.0f} {unit}"


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
    #: The pid of the supervisor if it was killed, or lost with its machine; None if it runs, or was stopped.
    lost_supervisor: int | None = None

    @property
    def advice(self) -> str | None:
        """What to do about a lost supervisor."""
        if self.lost_supervisor is None:
            return None
        return (
            f"The supervisor (pid {self.lost_supervisor}) has ended without stopping the stack: it was killed, or the "
            "machine restarted. Nothing starts again what ends. Start the stack with `batchord up`."
        )

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

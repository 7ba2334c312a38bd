"""Runs the services of docker-compose.yml as processes: each with its own command, environment and health check.

No Docker runs here. Names of services and folders of the image become local addresses and folders. Programs of images
become those of the packages that tests install.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from app.localstack.guard import Guard
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
COMPOSE_FILE = ROOT / "docker-compose.yml"
#: The only variables that a service inherits: as in a container, it gets none of the developer's shell.
BARE_ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "HOSTNAME": socket.gethostname(),
    "LANG": "C.UTF-8",
}
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<operator>:[-?])(?P<other>[^}]*))?\})")


class VariableNotSet(Exception):
    """A variable that docker-compose.yml requires has no value."""


def compose_file() -> Any:
    """The contents of docker-compose.yml. Variables are not replaced yet."""
    return yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))


def variables(text: str) -> dict[str, str | None]:
    """Every variable in the text, with its default; None if it has no default."""
    matches = [match for match in _VARIABLE.finditer(text) if match["name"]]
    return {match["name"]: match["other"] if match["operator"] == ":-" else None for match in matches}


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """The text with its variables replaced as Compose does it. Raises VariableNotSet."""

    def replacement(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        value = values.get(match["name"], "")
        if not value and match["operator"] == ":?":
            raise VariableNotSet(f"{match['name']} {match['other']}")
        return value or (match["other"] if match["operator"] == ":-" else "")

    return _VARIABLE.sub(replacement, text)


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service: what to run, with local addresses and with variables replaced."""

    name: str
    command: list[str]
    environment: dict[str, str]
    check: list[str]

    @classmethod
    def read(cls, name: str, *, local: Mapping[str, str], values: Mapping[str, str]) -> "Service":
        """The service of that name. Each key of ``local`` in its texts is replaced by its value."""
        declared = compose_file()["services"][name]

        def here(text: str) -> str:
            # Before the variables are replaced: a password may contain digits that look like a port.
            for there, value in local.items():
                text = text.replace(there, value)
            return interpolated(text, values)

        kind, *test = declared["healthcheck"].get("test", ["NONE"])
        return cls(
            name=name,
            command=[here(part) for part in declared["command"]],
            environment={key: here(value) for key, value in declared["environment"].items()},
            check=[here(part) for part in (["sh", "-c", *test] if kind == "CMD-SHELL" else test)],
        )

    def healthy(self) -> bool:
        """Whether the service's own health check succeeds."""
        environment = BARE_ENVIRONMENT | self.environment
        try:
            done = subprocess.run(self.check, env=environment, capture_output=True, timeout=30, check=False)
        except subprocess.TimeoutExpired:  # Docker, too, takes no answer for a failure
            return False
        return done.returncode == 0


class Processes:
    """Runs services in ``folder`` and ends them all, even if the test run is killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guard = Guard()
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, service: Service) -> None:
        """Start the service's command, its output in a file."""
        temporary = self._folder / "tmp"
        temporary.mkdir(exist_ok=True)
        with (self._folder / f"{service.name}.log").open("wb") as log:
            process = subprocess.Popen(
                service.command,
                # SeaweedFS keeps logs of its own among temporary files.
                env=BARE_ENVIRONMENT | {"TMPDIR": str(temporary)} | self._home(service.name) | service.environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running[service.name] = process
        self._guard.watch(process.pid)

    def wait_healthy(self, service: Service, *, interval: float, timeout: float = 120) -> None:
        """Waits until the service's health check succeeds. Raises AssertionError with the service's last output."""
        process = self._running[service.name]
        try:
            wait_until(
                lambda: process.poll() is not None or service.healthy(),
                description=f"service {service.name} is healthy",
                timeout=timeout,
                interval=interval,
            )
            assert process.poll() is None, f"service {service.name} ended with {process.returncode}"
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output(service.name)}") from None

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM, *, timeout: float = 20) -> int:
        """Stops a service as `docker compose stop` does. Returns its exit status."""
        process = self._running.pop(name)
        process.send_signal(number)
        status = process.wait(timeout=timeout)
        self._guard.forget(process.pid)
        return status

    def output(self, name: str, *, lines: int = 15) -> str:
        """The last lines that a service wrote."""
        text = (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def close(self) -> None:
        """Ends the running services, most of them with SIGKILL: other tests try an orderly end."""
        if "postgres" in self._running:  # a killed PostgreSQL would leave shared memory behind
            self.stop("postgres", signal.SIGINT)
        for process in self._running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            self._guard.forget(process.pid)
        self._guard.close()

    def _home(self, name: str) -> dict[str, str]:
        home = self._folder / "homes" / name
        home.mkdir(parents=True)
        return {"HOME": str(home)}

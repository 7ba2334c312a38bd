"""A small Batchord of real processes: a control worker, a model worker, beat, over one test's servers."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg
from celery import Celery

from app.localstack import CELERY_ENVIRONMENT, ForkServer, ProcessSpec, Supervisor
from tests.exactly_once import Findings, findings
from tests.forked_commands import ForkedCommands
from tests.waiting import wait_until

#: As `batchord up` starts them, by the names that modules of the tests import.
CELERY = (sys.executable, "-m", "app.celery_command")
#: What their environments may differ in from that of their fork server: what concerns Batchord, which test it is, and
#: what modules of others set when a test imports them.
READ_LATER = (
    *("BATCHORD_", "FLOWER_", "AWS_", "PYTEST_"),
    *("KMP_", "MKL_", "OPENBLAS_", "TOKENIZERS_", "TORCH", "TRANSFORMERS_"),
)
_COMMANDS = {
    "control": (*CELERY, "worker", "-Q", "control", "-P", "threads", "-c", "4", "-l", "info"),
    "worker": (*CELERY, "worker", "-Q", "text,image,table,steps", "-c", "2", "-l", "info"),
    "special": (*CELERY, "worker", "-Q", "special", "-c", "1", "-l", "info"),
    "beat": (*CELERY, "beat", "--pidfile=", "-l", "info"),
}
#: Times that a test can wait for; the defaults are for servers that work for days.
_QUICK = {
    "BATCHORD_LEASE_SECONDS": "2",
    "BATCHORD_SWEEP_SECONDS": "1",
    "BATCHORD_RESEND_AFTER_SECONDS": "1",
    "BATCHORD_RETRY_BASE_SECONDS": "0.2",
    **CELERY_ENVIRONMENT,
}


class Cluster:
    """Starts what a test asks for, and stops it all at the end."""

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        *,
        database_url: str,
        include: str | None = None,
        patience: float = 5.0,
        fork_server: ForkServer | None = None,
        commands: ForkedCommands | None = None,
    ) -> None:
        """``database_url``: by whom the test itself asks, and makes tables; it may do everything.

        ``include``: a module that every worker imports besides the tasks.

        ``patience``: seconds that each process has to end by itself when the test is over.

        ``fork_server``: one that was started, of which the processes are forks where they can be. ``commands``: as for
        the commands that a test runs.
        """
        self.pipelines = folder / "pipelines"
        self.pipelines.mkdir()
        self.folder = folder
        self.home = Path(environment["BATCHORD_HOME"])
        self.environment = {**environment, **_QUICK, "BATCHORD_PIPELINES": str(self.pipelines)}
        self.database_url = database_url
        self._include = include
        self._patience = patience
        self._fork_server = fork_server
        self._commands = commands
        self._running: dict[str, Supervisor] = {}
        self._connection: psycopg.Connection[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Together: each takes seconds, and none waits for another.
        with ThreadPoolExecutor() as pool:
            for stopped in [
                pool.submit(supervisor.stop, patience=self._patience) for supervisor in self._running.values()
            ]:
                stopped.result()
        if self._connection is not None:
            self._connection.close()

    def pipeline(self, name: str, source: str) -> None:
        """Writes a pipeline file, before the processes that read it are started."""
        (self.pipelines / f"{name}.py").write_text(textwrap.dedent(source))

    def start(self, *names: str, faults: Mapping[str, str] | None = None, include: str = "", **settings: str) -> None:
        """Starts processes, each under a supervisor of its own; returns when the workers answer.

        ``worker``, ``control``, ``beat``, or ``special``, a worker for the queue of that name; a second one of a
        kind is called ``worker2``. ``faults`` are those of one of them, by its name. ``include``: one more module
        that workers import.
        """
        for name in names:
            environment = {**self.environment, **settings, "BATCHORD_FAULTS": (faults or {}).get(name, "")}
            spec = ProcessSpec(name=name, command=self._command(name, include), env=environment, patience=30.0)
            supervisor = Supervisor([spec], self.home / name, fork_server=self._fork_server)
            self._running[name] = supervisor
            supervisor.start()
        for name in names:
            ready = "beat: Starting" if name.startswith("beat") else " ready."
            wait_until(lambda name=name, ready=ready: ready in self.log(name), description=f"{name} is up", timeout=60)  # type: ignore[misc]

    def _command(self, name: str, include: str) -> tuple[str, ...]:
        command = _COMMANDS[name.rstrip("0123456789")]
        if "worker" not in command:
            return command
        modules = ",".join(filter(None, (self._include, include)))
        # Without the second in which a worker asks the others what they know.
        return (
            *command,
            "-n",
            f"{name}@%h",
            "--without-mingle",
            "--without-gossip",
            *(("-I", modules) if modules else ()),
        )

    def log(self, name: str) -> str:
        """Everything that a process has said."""
        file = self.home / name / "logs" / f"{name}.log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def stop(self, name: str) -> None:
        """Stops one process for good by SIGTERM: it ends its work or hands it back."""
        self._running.pop(name).stop()

    def process(self, name: str) -> psutil.Process:
        """A process that was started. Raises psutil.NoSuchProcess while it is being started again."""
        (status,) = self._running[name].status()
        if status.pid is None:
            raise psutil.NoSuchProcess(-1, name)
        return psutil.Process(status.pid)

    def restarts(self, name: str) -> int:
        """How often a process was started again because it had ended."""
        (status,) = self._running[name].status()
        return status.restarts

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal to the process and its children, as the kernel would when memory runs out."""
        process = self.process(name)
        for one in [*process.children(recursive=True), process]:
            one.send_signal(number)

    def pool(self, name: str) -> list[psutil.Process]:
        """The pool children of a worker."""
        return self.process(name).children(recursive=True)

    def stopped(self, name: str) -> list[psutil.Process]:
        """Those of a worker's pool children that stand still."""
        found = []
        for process in self.pool(name):
            with contextlib.suppress(psutil.NoSuchProcess):
                found += [process] if process.status() == psutil.STATUS_STOPPED else []
        return found

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Runs a statement by itself and returns its rows, if it has any."""
        cursor = self._session().execute(query, values or None)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []

    def _session(self) -> psycopg.Connection[Any]:
        """One that is kept: tests ask twenty times a second, and a session takes its server longer than an answer."""
        if self._connection is not None:
            try:
                self._connection.execute("SELECT")
            except psycopg.OperationalError:  # the server was away since
                self._connection.close()
            else:
                return self._connection
        self._connection = psycopg.connect(self.database_url, autocommit=True, prepare_threshold=None)
        return self._connection

    def insert_notes(self, count: int) -> None:
        """Inserts rows into the table of the fixture ``notes``, with bodies of 1, 2, 3, … letters."""
        self.sql("INSERT INTO notes (body) SELECT repeat('x', n) FROM generate_series(1, %s) AS n", count)

    def batchord(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs the ``batchord`` command to its end. What it says is in the failure, if it should not have failed."""
        environment = {**os.environ, **self.environment}
        if self._commands is None or not self._commands.can_fork(environment):
            return self._ended("-c", "from batchord.app.cli import main; main()", *arguments, check=check)
        return _checked(self._commands.run(arguments, environment=environment, timeout=120), check=check)

    def call(self, task: str, **arguments: Any) -> str:
        """``celery -A app call``: the id of the task that was sent."""
        command = ("-m", "celery", "-A", "app", "call", task, "--kwargs", json.dumps(arguments))
        return self._ended(*command, timeout=60).stdout.strip()

    def _ended(self, *arguments: str, check: bool = True, timeout: int = 120) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, **self.environment},
            text=True,
            capture_output=True,
            check=False,
            timeout=timeout,
        )
        return _checked(ended, check=check)

    def send(self, task: str, **arguments: Any) -> str:
        """Sends a task's message as a foreign program would, which knows only the broker and the task's name."""
        with Celery(broker=self.environment["BATCHORD_REDIS_URL"], set_as_current=False) as client:
            client.conf.task_default_queue = "control"
            return str(client.send_task(task, kwargs=arguments, ignore_result=True).id)

    def runs(self, pipeline: str) -> list[dict[str, Any]]:
        """What ``batchord runs --json`` says of a pipeline, newest first."""
        listed: list[dict[str, Any]] = json.loads(
            self.batchord("runs", "--pipeline", pipeline, "--limit", "200", "--json").stdout
        )
        return listed

    def wait_for_records(self, table: str, pipeline: str, *, timeout: float = 20) -> None:
        """Waits until every record of ``table`` is accounted for and no run of the pipeline is open."""
        wait_until(
            lambda: self.sql(
                f"""
                SELECT (SELECT count(*) FROM {table} AS record WHERE NOT EXISTS (
                            SELECT FROM batchord.predictions AS p
                            WHERE p.pipeline = %s AND p.record_key = record.id::text)
                        AND NOT EXISTS (
                            SELECT FROM batchord.rejections AS r
                            WHERE r.pipeline = %s AND r.record_key = record.id::text)) = 0
                   AND NOT EXISTS (SELECT FROM batchord.runs WHERE pipeline = %s AND state IN ('queued', 'running'))
                """,  # noqa: S608 -- the table's name comes from the test
                pipeline,
                pipeline,
                pipeline,
            )[0][0],
            description=f"every record of {table} is accounted for by {pipeline}",
            timeout=timeout,
        )

    def assert_exactly_once(self, table: str, pipeline: str) -> None:
        """Every record has one prediction or one rejection, and every run ends once and adds up."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            # Beat goes on meanwhile: between two ticks there is a moment in which no run is open.
            found = wait_until(
                lambda: now if (now := findings(connection, table, pipeline)).unended == 0 else None,
                description=f"every run of {pipeline} ends",
            )
        assert found == Findings()


def _checked(ended: subprocess.CompletedProcess[str], *, check: bool) -> subprocess.CompletedProcess[str]:
    assert not (check and ended.returncode), f"{ended.args} ended with {ended.returncode}:\n{ended.stderr}"
    return ended

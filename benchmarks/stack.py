"""Batchord's real processes and servers for a benchmark."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, LiteralString, Self

import psycopg
from celery import Celery
from psycopg import sql

from app.localstack import ProcessSpec, Supervisor, start_servers, stop_servers, superuser_url
from batchord.ledger.roles.preparing import prepare_database
from benchmarks.measure import Measurement, PeakMemory

ROOT = Path(__file__).parents[1]
_CELERY = (sys.executable, "-m", "celery", "-A")
_WORKER = ("worker", "--without-mingle", "--without-gossip", "-l", "info")
_POLL_SECONDS = 0.002
#: The wait between two checks whether a run has ended, as a share of its time so far: checking takes a core from the
#: workers. The end's time comes from the ledger, so the wait does not count.
_POLL_SHARE = 0.02
_READY_SECONDS = 120
#: Longer than any program takes, unless it hangs.
_PROGRAM_SECONDS = 1200


class Stack:
    """PostgreSQL, Redis and S3 in ``home``, and the processes that a workload needs."""

    def __init__(self, home: Path, *, processes: int) -> None:
        self.home = home
        #: The folder of the models, which are built once and kept.
        self.models = ROOT / ".batchord" / "bench" / "models"
        self.processes = processes
        self.environment: dict[str, str] = {}
        #: The parent processes of what runs now, by name.
        self.pids: dict[str, list[int]] = {}
        self._supervisors: list[Supervisor] = []

    def __enter__(self) -> Self:
        servers = start_servers(self.home)
        (self.home / "pipelines").mkdir(exist_ok=True)
        self.environment = {
            **servers.environment(),
            "BATCHORD_HOME": str(self.home),
            "BATCHORD_PIPELINES": str(self.home / "pipelines"),
            "REMAP_SIGTERM": "SIGQUIT",
        }
        os.environ |= self.environment
        prepare_database(servers.database_roles())
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for supervisor in self._supervisors:
                supervisor.stop(patience=5.0)
        finally:
            stop_servers(self.home)

    @property
    def database_url(self) -> str:
        """The address of the database with the ledger and the records."""
        return self.environment["BATCHORD_DATABASE_URL"]

    @property
    def redis_url(self) -> str:
        """The address of Batchord's Redis database. A peer's workers use the databases with higher numbers."""
        return self.environment["BATCHORD_REDIS_URL"]

    def sql(self, statement: LiteralString | sql.Composed, *values: Any) -> list[tuple[Any, ...]]:
        """Runs a statement outside of a transaction and returns its rows, if it has any."""
        with psycopg.connect(superuser_url(self.home), autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def declare(self, name: str, text: str) -> None:
        """Writes a pipeline's file. Call it before :meth:`start`."""
        (self.home / "pipelines" / f"{name}.py").write_text(text, encoding="utf-8")

    def start(self) -> list[int]:
        """Starts Batchord's two workers. Returns the pids of their parent processes."""
        control = (*_CELERY, "app", *_WORKER, "-n", "control@%h", "-Q", "control", "-P", "threads", "-c", "4")
        queues = "text,image,table,train,steps"
        worker = (*_CELERY, "app", *_WORKER, "-n", "worker@%h", "-Q", queues, "-c", str(self.processes))
        return [*self.supervise("control", control), *self.supervise("worker", worker)]

    def start_beat(self) -> list[int]:
        """Starts beat and returns its pid."""
        return self.supervise("beat", (*_CELERY, "app", "beat", "--pidfile=", "-l", "info"), ready="beat: Starting")

    def start_flower(self, login: str) -> tuple[int, str]:
        """Starts Flower behind ``login``, a ``name:password``. Returns its pid and what its addresses begin with."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = (*_CELERY, "app", "flower", f"--port={port}")
        (pid,) = self.supervise("flower", command, {"FLOWER_BASIC_AUTH": login}, ready="Visit me at")
        deadline = time.monotonic() + _READY_SECONDS
        while not _listens(port):  # Flower invites visitors a moment before it listens
            if time.monotonic() > deadline:
                raise RuntimeError(f"Flower does not listen on port {port}")
            time.sleep(_POLL_SECONDS)
        return pid, f"http://127.0.0.1:{port}"

    def start_peer(self, name: str, module: str, **settings: str) -> list[int]:
        """Starts a peer's worker with a Celery app of its own. Returns the pid of its parent process."""
        command = (*_CELERY, module, *_WORKER, "-n", f"{name}@%h", "-c", str(self.processes))
        return self.supervise(name, command, settings)

    def supervise(
        self,
        name: str,
        command: Sequence[str],
        settings: Mapping[str, str] | None = None,
        *,
        ready: str = " ready.",
    ) -> list[int]:
        """Starts a worker and waits until its log says that it is ready. Returns the pid of its parent process."""
        spec = ProcessSpec(name=name, command=tuple(command), env={**self.environment, **(settings or {})})
        supervisor = Supervisor([spec], self.home / name)
        supervisor.start()
        self._supervisors.append(supervisor)
        log = self.home / name / "logs" / f"{name}.log"
        deadline = time.monotonic() + _READY_SECONDS
        while not log.exists() or ready not in log.read_text(encoding="utf-8", errors="replace"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not start, see {log}")
            time.sleep(_POLL_SECONDS)
        self.pids[name] = [status.pid for status in supervisor.status() if status.pid is not None]
        return self.pids[name]

    def stop(self) -> None:
        """Ends all processes. The servers continue."""
        while self._supervisors:
            self._supervisors.pop().stop(patience=5.0)
        self.pids.clear()

    def forget(self) -> None:
        """Empties the ledger and writes everything to disk, so that all repetitions begin alike."""
        results = [
            name for (name,) in self.sql("SELECT format('%I.%I', schema_name, table_name) FROM batchord.results")
        ]
        kept = ["runs", "writers", "earlier_predictions", "rejections", "frontiers"]
        self.sql(f"TRUNCATE {', '.join([*results, *(f'batchord.{table}' for table in kept)])} CASCADE")
        self.sql("CHECKPOINT")

    def run(self, pipeline: str) -> tuple[str, float]:
        """Asks for a run, as a tick does, and waits for its end.

        Returns the run's id, and the seconds from asking to its end. Raises RuntimeError if the run does not succeed.
        """
        broker = Celery(broker=self.redis_url)
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            request = os.urandom(8).hex()
            ((asked_at,),) = connection.execute("SELECT clock_timestamp()").fetchall()
            began = time.monotonic()
            values = {"pipeline": pipeline, "trigger": "call"}
            broker.send_task("batchord.start_run", kwargs=values, queue="control", task_id=request, ignore_result=True)
            while True:
                row = connection.execute(
                    "SELECT id::text, state, error, extract(epoch FROM finished_at - %s)::float8 FROM batchord.runs "
                    "WHERE request = %s AND finished_at IS NOT NULL",
                    [asked_at, request],
                ).fetchone()
                if row is not None:
                    break
                time.sleep(max(_POLL_SECONDS, _POLL_SHARE * (time.monotonic() - began)))
        broker.close()
        run_id, state, error, seconds = row
        if state != "succeeded":
            raise RuntimeError(f"The run of {pipeline} ended as {state}: {error}")
        return run_id, seconds

    def batchord(self, pipeline: str, pids: Sequence[int]) -> Measurement:
        """Measures a run over all records, with workers that have loaded their model."""
        self.forget()
        with PeakMemory(lambda: pids) as memory:
            _, seconds = self.run(pipeline)
        return Measurement(seconds=seconds, peak_mb=memory.peak_mb)

    def warm(self, pipeline: str, *, workers: int) -> None:
        """Runs the pipeline until all processes have loaded the model. Raises RuntimeError if some never do."""
        for _ in range(20):
            self.forget()
            self.run(pipeline)
            if self.sql("SELECT count(DISTINCT worker) FROM batchord.shards") >= [(workers,)]:
                return
        raise RuntimeError(f"Not all {workers} processes take part: are there too few shards?")

    def program(self, *command: str, **arguments: Any) -> Measurement:
        """Measures a program. It gets ``arguments`` as JSON, and prints its seconds as its last line."""
        process = subprocess.Popen(
            [*command, json.dumps(arguments)],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
            stdout=subprocess.PIPE,
            text=True,
        )
        with process, PeakMemory(lambda: [process.pid]) as memory:
            try:
                output, _ = process.communicate(timeout=_PROGRAM_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
        return Measurement(seconds=float(output.strip().splitlines()[-1]), peak_mb=memory.peak_mb)

    def bare(self, module: str, **arguments: Any) -> Measurement:
        """Measures a bare loop of ``benchmarks.systems``, or a peer that uses Batchord's own libraries."""
        all_arguments = {"database_url": self.database_url, "processes": self.processes, **arguments}
        return self.program(sys.executable, "-m", f"benchmarks.systems.{module}", **all_arguments)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

"""Batchord's real processes over servers of their own, as a benchmark drives them."""

import json
import os
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
#: Of a run's time, at the most, between two looks at its end: who looks takes a core from who works. The time of the
#: end is the ledger's, so none of it is lost.
_POLL_SHARE = 0.02
_READY_SECONDS = 120
#: No program takes as long, unless it hangs.
_PROGRAM_SECONDS = 1200


class Stack:
    """PostgreSQL, Redis and S3 in ``home``, and the processes that a workload asks for."""

    def __init__(self, home: Path, *, processes: int) -> None:
        self.home = home
        #: Models are built once and kept.
        self.models = ROOT / ".batchord" / "bench" / "models"
        self.processes = processes
        self.environment: dict[str, str] = {}
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
        # Before any pipeline is there: no beat runs, each run is asked for.
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
        """Of the ledger and the records."""
        return self.environment["BATCHORD_DATABASE_URL"]

    @property
    def redis_url(self) -> str:
        """Of Batchord; a peer's workers use the databases behind it."""
        return self.environment["BATCHORD_REDIS_URL"]

    def sql(self, statement: LiteralString | sql.Composed, *values: Any) -> list[tuple[Any, ...]]:
        """Runs a statement by itself and returns its rows, if it has any."""
        with psycopg.connect(superuser_url(self.home), autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def declare(self, name: str, text: str) -> None:
        """Writes a pipeline's file; before :meth:`start`."""
        (self.home / "pipelines" / f"{name}.py").write_text(text, encoding="utf-8")

    def start(self) -> list[int]:
        """Batchord's two workers; the pids of their parents."""
        control = (*_CELERY, "app", *_WORKER, "-n", "control@%h", "-Q", "control", "-P", "threads", "-c", "4")
        queues = "text,image,table,train,steps"
        worker = (*_CELERY, "app", *_WORKER, "-n", "worker@%h", "-Q", queues, "-c", str(self.processes))
        return [*self.supervise("control", control), *self.supervise("worker", worker)]

    def start_beat(self) -> list[int]:
        """Beat; its pid."""
        return self.supervise("beat", (*_CELERY, "app", "beat", "--pidfile=", "-l", "info"), ready="beat: Starting")

    def start_peer(self, name: str, module: str, **settings: str) -> list[int]:
        """A Celery app of its own as a peer; the pid of its parent."""
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
        """Starts a worker and waits until its log says that it is ready; the pid of its parent."""
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
        return [status.pid for status in supervisor.status() if status.pid is not None]

    def stop(self) -> None:
        """Ends all processes; the servers go on."""
        while self._supervisors:
            self._supervisors.pop().stop(patience=5.0)

    def forget(self) -> None:
        """An empty ledger, and no write of the past left to be done: so each repetition begins alike."""
        self.sql("TRUNCATE batchord.runs, batchord.predictions, batchord.rejections, batchord.frontiers CASCADE")
        self.sql("CHECKPOINT")

    def run(self, pipeline: str) -> tuple[str, float]:
        """Asks for a run, as a tick does, and waits for its end; its id, and the seconds from then to then.

        Raises RuntimeError when it does not succeed.
        """
        broker = Celery(broker=self.redis_url)
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            request = os.urandom(8).hex()
            ((asked,),) = connection.execute("SELECT clock_timestamp()").fetchall()
            began = time.monotonic()
            values = {"pipeline": pipeline, "trigger": "call"}
            broker.send_task("batchord.start_run", kwargs=values, queue="control", task_id=request, ignore_result=True)
            while True:
                found = connection.execute(
                    "SELECT id::text, state, error, extract(epoch FROM finished_at - %s)::float8 FROM batchord.runs "
                    "WHERE request = %s AND finished_at IS NOT NULL",
                    [asked, request],
                ).fetchone()
                if found is not None:
                    break
                time.sleep(max(_POLL_SECONDS, _POLL_SHARE * (time.monotonic() - began)))
        broker.close()
        run_id, state, error, seconds = found
        if state != "succeeded":
            raise RuntimeError(f"The run of {pipeline} ended as {state}: {error}")
        return run_id, seconds

    def batchord(self, pipeline: str, pids: Sequence[int]) -> Measurement:
        """A run over all records, with workers that have loaded their model."""
        self.forget()
        with PeakMemory(lambda: pids) as memory:
            _, seconds = self.run(pipeline)
        return Measurement(seconds=seconds, peak_mb=memory.peak_mb)

    def warm(self, pipeline: str, *, workers: int) -> None:
        """Runs until all processes have loaded the model. Raises RuntimeError when they do not come to it."""
        for _ in range(20):
            self.forget()
            self.run(pipeline)
            if self.sql("SELECT count(DISTINCT worker) FROM batchord.shards") >= [(workers,)]:
                return
        raise RuntimeError(f"Not all {workers} processes take part: are there too few shards?")

    def program(self, *command: str, **arguments: Any) -> Measurement:
        """A system that is a program: it is given ``arguments`` as JSON, and prints its seconds as the last line."""
        process = subprocess.Popen(
            [*command, json.dumps(arguments)],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
            stdout=subprocess.PIPE,
            text=True,
        )
        with process, PeakMemory(lambda: [process.pid]) as memory:
            try:
                said, _ = process.communicate(timeout=_PROGRAM_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
        return Measurement(seconds=float(said.strip().splitlines()[-1]), peak_mb=memory.peak_mb)

    def bare(self, module: str, **arguments: Any) -> Measurement:
        """A bare loop of ``benchmarks.systems``, or a peer that runs with Batchord's own libraries."""
        given = {"database_url": self.database_url, "processes": self.processes, **arguments}
        return self.program(sys.executable, "-m", f"benchmarks.systems.{module}", **given)

"""A real Prometheus reads a real Flower, and answers each query of the rules and of the board."""

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.localstack.claims import claim_port
from tests.acceptance.cluster import Cluster
from tests.acceptance.flowers import RunningFlower
from tests.monitoring import CONFIGURATION, RULES, Query, queries
from tests.waiting import wait_until

#: Queries that have no answer while nothing is wrong; all others have one after a run with a rejection.
_ONLY_IF_WRONG = ("rule ", "panel Open problems and paused pipelines", "panel Attempts lost in the last hour")


def program(name: str) -> str:
    """The path of one of Prometheus' programs."""
    found = shutil.which(name)
    if found is None:
        pytest.fail("These tests need Prometheus, which is not installed: apt-get install prometheus.", pytrace=False)
    return found


class RunningPrometheus:
    """Prometheus with the configuration and the rules of deploy/, for one Flower."""

    def __init__(self, folder: Path, flower: RunningFlower, password: Path) -> None:
        configuration = yaml.safe_load(CONFIGURATION.read_text("utf-8"))
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        (job,) = configuration["scrape_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{flower.port}"]}]
        job["basic_auth"]["password_file"] = str(password)
        folder.mkdir()
        shutil.copy(RULES, folder)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
        claim = claim_port()
        self._address = f"127.0.0.1:{claim.port}"
        claim.close()
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={self._address}",
                ],
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "GOMAXPROCS": "1"},
            )

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of the API; None if it does not answer yet."""
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it is starting
                return None
            raise AssertionError(error.read().decode()) from None
        except urllib.error.URLError:
            return None

    def series(self, query: str) -> list[dict[str, Any]]:
        """The answer to a query now."""
        data = self.ask("query", query=query)
        return [] if data is None else list(data["result"])

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait(timeout=20)


@pytest.fixture
def flower(notes: Cluster, tmp_path: Path) -> Iterator[RunningFlower]:
    """Flower beside workers, before the first run."""
    notes.start("control", "worker")
    running = RunningFlower(notes, tmp_path)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def prometheus(flower: RunningFlower, tmp_path: Path) -> Iterator[RunningPrometheus]:
    """Prometheus that reads this Flower, with its password from a file."""
    running = RunningPrometheus(tmp_path / "prometheus", flower, flower.cluster.home / "flower.password")
    try:
        wait_until(lambda: running.series('up{job="batchord"} == 1'), description="Flower is read", timeout=60)
        yield running
    finally:
        running.stop()


def test_promtool_accepts_the_files(tmp_path: Path) -> None:
    """The rules, and the configuration with them."""
    for file in (CONFIGURATION, RULES):
        shutil.copy(file, tmp_path)
    (tmp_path / "batchord.password").touch()
    for check in (("rules", RULES.name), ("config", CONFIGURATION.name)):
        subprocess.run([program("promtool"), "check", *check], cwd=tmp_path, check=True, capture_output=True)


def test_promtool_finds_nothing_wrong_with_the_metrics(notes: Cluster) -> None:
    """Names, units and texts, as Prometheus' own linter sees them."""
    printed = notes.batchord("metrics").stdout
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"], input=printed, text=True, capture_output=True, check=False
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_every_query_is_answered(prometheus: RunningPrometheus, notes: Cluster) -> None:
    """None is refused, and those that show numbers of a healthy system show some."""
    for _ in range(2):  # a rate needs a rise between two scrapes
        notes.sql("INSERT INTO notes (body) SELECT 'x' FROM generate_series(1, 4)")
        notes.sql("INSERT INTO notes (body) VALUES (NULL)")
        notes.batchord("run", "notes", "--wait")
        count = notes.sql("SELECT count(*) FROM batchord.runs WHERE state = 'succeeded'")[0][0]
        ended = f'batchord_runs_ended_total{{state="succeeded"}} == {count}'
        wait_until(lambda ended=ended: prometheus.series(ended), description=ended)  # type: ignore[misc]

    def unanswered() -> list[Query]:
        return [
            query
            for query in queries()
            if not prometheus.series(query.text) and not query.place.startswith(_ONLY_IF_WRONG)
        ]

    wait_until(lambda: not unanswered(), description="every panel shows something")
    assert unanswered() == []
    rules = prometheus.ask("rules")["groups"][0]["rules"]
    assert {rule["name"]: rule["health"] for rule in rules if rule["health"] != "ok"} == {}
    assert {rule["name"] for rule in rules if rule["state"] == "firing"} == set()


def test_a_failed_run_and_a_wrong_password_fire(prometheus: RunningPrometheus, flower: RunningFlower) -> None:
    """The rules see what they are for."""
    cluster = flower.cluster
    cluster.sql("INSERT INTO notes (body) VALUES ('x')")
    cluster.batchord("run", "notes", "--wait")
    wait_until(lambda: prometheus.series("batchord_runs_ended_total == 1"), description="a run is seen")
    cluster.sql("ALTER TABLE notes RENAME TO gone")
    cluster.batchord("run", "notes", "--wait", check=False)

    def states() -> dict[str, str]:
        return {rule["name"]: rule["state"] for rule in prometheus.ask("rules")["groups"][0]["rules"]}

    wait_until(lambda: states()["BatchordRunFailed"] == "firing", description="the failed run fires", timeout=60)
    assert states()["BatchordProblemOpen"] == "firing"
    (cluster.home / "flower.password").write_text("wrong\n")
    wait_until(lambda: states()["BatchordFlowerDown"] == "pending", description="a wrong password is seen", timeout=60)

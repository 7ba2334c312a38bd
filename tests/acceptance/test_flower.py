"""Flower requires a password, and neither Flower nor Celery shows a secret."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil
import pytest
from flower.urls import handlers
from tornado.web import URLSpec

from app.dashboard.pages.routes import ROUTES
from tests.acceptance.cluster import Cluster
from tests.acceptance.flowers import HEALTH, RunningFlower
from tests.waiting import wait_until

#: A path for each of Flower's patterns, its own or of a later release, and for each of ours.
_PATTERNS = [each.regex.pattern if isinstance(each, URLSpec) else each[0] for each in [*ROUTES, *handlers]]
_PATHS = sorted({re.sub(r"\(.*?\)|\.\*", "x", each).rstrip("$?/") or "/" for each in _PATTERNS} - {"x"})


@pytest.fixture
def cluster(settings_env: dict[str, str], database_url: str, tmp_path: Path) -> Iterator[Cluster]:
    """A control worker; the S3 store's keys and a chat's token are set too."""
    settings_env["BATCHORD_ALERT_URLS"] = "https://chat.example/TOKEN/of-the-alerts"
    with Cluster(settings_env, tmp_path, database_url=database_url) as started:
        started.start("control")
        yield started


@pytest.fixture
def flower(cluster: Cluster, tmp_path: Path) -> Iterator[RunningFlower]:
    """Flower without any option, in a folder with a foreign configuration file."""
    (tmp_path / "flowerconfig.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w').close()\n")
    running = RunningFlower(cluster, tmp_path)
    try:
        yield running
    finally:
        running.stop()


#: Runs commands of Celery's as ``python -m celery -A app`` does, one after another: each interpreter takes a second.
_COMMANDS = """
import json, shlex, sys
from celery.bin.celery import celery

for command in sys.argv[1:]:
    print("\\0" + command, flush=True)
    celery.main(["-A", "app", *shlex.split(command)], standalone_mode=False)
"""


def _celery(cluster: Cluster, *commands: str) -> dict[str, str]:
    """All that ``celery -A app`` says to each of several commands."""
    done = subprocess.run(
        [sys.executable, "-c", _COMMANDS, *commands],
        env={**os.environ, **cluster.environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
        timeout=120,
    )
    return dict(said.split("\n", 1) for said in done.stdout.split("\0")[1:])


def test_nobody_comes_in_without_the_password(flower: RunningFlower, tmp_path: Path) -> None:
    """No page, API or metrics, with any method. Only the health check answers everybody."""
    for path in _PATHS:
        for method in ("GET", "POST"):
            status, headers, text = flower.get(path, method=method)
            if path == HEALTH:
                assert status in {200, 405}
            else:
                assert (path, status) == (path, 401)
                assert headers["WWW-Authenticate"].startswith("Basic ")
                assert "batchord status --password" in text
    for wrong in ("batchord:", "batchord:wrong", ":", "", "x", "bätchord:wörter"):
        assert flower.get("/workers", login=wrong)[0] == 401
    login = flower.login
    for path in ("/workers", "/tasks", "/broker", "/metrics", "/api/workers"):
        assert (path, flower.get(path, login=login)[0]) == (path, 200)
    assert not (tmp_path / "executed").exists(), "a configuration of the working directory is not executed"
    listening = {
        each.laddr.ip for each in psutil.Process(flower.process.pid).net_connections() if each.status == "LISTEN"
    }
    assert listening == {"127.0.0.1"}


def test_requests_for_a_name_that_is_not_ours_are_refused(flower: RunningFlower) -> None:
    """A page of an attacker's cannot be pointed at Flower, even in a browser that knows the password."""
    login = flower.login
    for host in (
        "attacker.example",
        f"attacker.example:{flower.port}",
        "127.0.0.1.attacker.example",
        "localhost.a",
        "-",
    ):
        status, _, text = flower.get("/workers", login=login, host=host)
        assert (host, status) == (host, 403)
        assert "BATCHORD_FLOWER_HOSTS" in text
    for host in ("localhost,attacker.example", "a b", "localhost@attacker.example", "[::1"):
        assert flower.get("/workers", login=login, host=host)[0] in {400, 403}
    for host in ("localhost", f"LOCALHOST:{flower.port}", "[::1]:5555", "10.1.2.3", socket.gethostname()):
        assert (host, flower.get("/workers", login=login, host=host)[0]) == (host, 200)


def test_no_reply_of_flower_or_celery_holds_a_secret(flower: RunningFlower) -> None:
    """Every page and API answer, every command of ``celery inspect``, and Celery's own report."""
    cluster = flower.cluster
    secrets = {
        str(urlsplit(cluster.environment["BATCHORD_REDIS_URL"]).password),
        str(urlsplit(cluster.environment["BATCHORD_DATABASE_URL"]).password),
        cluster.environment["BATCHORD_S3_ACCESS_KEY_ID"],
        cluster.environment["BATCHORD_S3_SECRET_ACCESS_KEY"],
        "TOKEN/of-the-alerts",
    }
    leaky = " ".join(secrets)
    secrets.add(flower.login.partition(":")[2])
    task = cluster.call("batchord.start_run", pipeline=leaky)
    login = flower.login
    worker = next(iter(json.loads(_until(flower, "/api/workers?refresh=1", login, "registered"))))
    _until(flower, "/api/tasks", login, task)
    pages = ["/", "/workers?json=1", f"/worker/{quote(worker)}", "/tasks", "/broker", "/metrics", f"/task/{task}"]
    pages += [f"/api/{each}" for each in ("workers", "tasks", "task/types", "queues/length", f"task/info/{task}")]
    pages += [f"/api/task/result/{task}", "/tasks/datatable?draw=1&start=0&length=9&order[0][column]=0", "/nowhere"]
    for page in pages:
        status, _, text = flower.get(page, login=login)
        assert status in {200, 404}, page
        assert {each for each in secrets if each in text} == set(), page
    asked = ("conf", "report", "stats", "active_queues", "registered", "active", "reserved", "scheduled", "conf 1")
    commands = [*(f"inspect {each} --json" for each in asked), "inspect registered app backend --json", "report"]
    for command, replied in _celery(cluster, *commands).items():
        assert replied.strip(), command
        assert {each for each in secrets if each in replied} == set(), command
    assert {each for each in secrets if each in flower.log.read_text()} == set()


def _until(flower: RunningFlower, path: str, login: str, wanted: str) -> str:
    """The reply, once it contains the wanted text: Flower learns of events with a delay."""
    wait_until(lambda: wanted in flower.get(path, login=login)[2], description=f"{path} shows {wanted}", interval=0.5)
    return flower.get(path, login=login)[2]


def test_a_name_and_a_password_of_ones_own(cluster: Cluster, tmp_path: Path) -> None:
    """``FLOWER_BASIC_AUTH`` holds, names of one's own are known, and the closed paths move with a prefix."""
    running = RunningFlower(
        cluster, tmp_path, FLOWER_BASIC_AUTH="me:mine-alone,you:yours", BATCHORD_FLOWER_HOSTS="flower.test"
    )
    try:
        assert running.get("/metrics")[0] == 401
        assert running.get("/metrics", login="you:yours", host="Flower.test:80")[0] == 200
        assert running.get("/metrics", login="me:mine-alone")[0] == 200
        assert not (cluster.home / "flower.password").exists()
    finally:
        running.stop()

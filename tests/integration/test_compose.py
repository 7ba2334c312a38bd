"""docker-compose.yml comes up: its own commands, on this machine, until its own health checks succeed."""

import base64
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import boto3
import botocore.exceptions
import psycopg
import pytest
import redis

from tests.compose_commands import BARE_ENVIRONMENT, Processes, Service
from tests.compose_servers import LOOPBACK, LocalPlace
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("compose")

SERVERS = ("postgres", "redis", "s3")
BATCHORD = ("worker-control", "worker-text", "worker-image", "worker-table", "beat", "flower")
RECORDS = 20
PIPELINE = """
from batchord import Pipeline, SqlSource

items = Pipeline(
    "items",
    source=SqlSource("SELECT id, body, created_at FROM items", key="id", arrival="created_at"),
    model=lambda frame: frame["body"].str.len(),
)
"""


class Stack:
    """Every service of the file, up and healthy."""

    def __init__(self, place: LocalPlace, processes: Processes) -> None:
        self.place = place
        self.processes = processes
        self.services: dict[str, Service] = {}
        self._up(SERVERS, interval=0.2)
        place.postgres.finish(place.ports["postgres"])
        self.run("migrate")
        # Pings are not free: asked often, they would slow down the very start that they wait for.
        self._up(BATCHORD, interval=1.5)

    def _up(self, names: tuple[str, ...], *, interval: float) -> None:
        for name in names:
            self.services[name] = self.place.service(name)
            self.processes.start(self.services[name])
        with ThreadPoolExecutor(len(names)) as threads:
            list(threads.map(lambda name: self.processes.wait_healthy(self.services[name], interval=interval), names))

    def run(self, name: str, *command: str) -> None:
        """Run a service's command, or another one in its place as `docker compose run` does."""
        service = self.place.service(name)
        said = list(command) or service.command
        environment = BARE_ENVIRONMENT | service.environment
        done = subprocess.run(said, env=environment, cwd=self.place.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """All services, started as Compose would start them."""
    folder = Path(tempfile.mkdtemp(prefix="batchord-compose-"))
    place = LocalPlace(folder)
    (place.pipelines / "items.py").write_text(PIPELINE, encoding="utf-8")
    try:
        with closing(Processes(folder)) as processes:
            yield Stack(place, processes)
    finally:
        place.close()
        shutil.rmtree(folder)


def test_every_service_becomes_healthy(stack: Stack) -> None:
    """All that has a health check passes it, and none of them writes where it runs."""
    assert set(stack.services) == {*SERVERS, *BATCHORD}
    left = {path.name for path in stack.place.folder.iterdir() if path.is_file() and path.suffix != ".log"}
    assert left == {"valkey.conf"}, "the image's file system is read-only"


def test_a_mounted_pipeline_predicts(stack: Stack) -> None:
    """A call from the command line goes through Redis, the workers and the ledger."""
    url = stack.services["worker-table"].environment["BATCHORD_AUTHOR_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY, body text, created_at timestamptz"
            " DEFAULT clock_timestamp())"
        )
        connection.execute("INSERT INTO items (body) SELECT repeat('x', i) FROM generate_series(1, %s) i", [RECORDS])
        stack.run(
            "worker-control",
            "celery",
            "-A",
            "batchord.app",
            "call",
            "batchord.start_run",
            '--kwargs={"pipeline": "items"}',
        )
        count = "SELECT count(*) FROM batchord.predictions WHERE pipeline = 'items'"
        wait_until(
            lambda: (connection.execute(count).fetchone() or (0,))[0] == RECORDS,
            description=f"{RECORDS} records are predicted",
        )
    login = base64.b64encode(stack.place.values["FLOWER_BASIC_AUTH"].encode()).decode()
    runs = urllib.request.Request(f"http://{LOOPBACK}:{stack.place.ports['flower']}/runs")
    runs.add_header("Authorization", f"Basic {login}")
    with urllib.request.urlopen(runs) as reply:
        page = reply.read().decode()
    assert ">items</a>" in page, "Flower shows the ledger"


def test_no_service_that_lasts_comes_as_the_superuser(stack: Stack) -> None:
    """`migrate` made the roles as the one, and each does its own kind of work."""
    environment = stack.services["worker-table"].environment
    asked = "SELECT current_user, current_setting('is_superuser')"
    found = {}
    for variable in ("BATCHORD_DATABASE_URL", "BATCHORD_AUTHOR_URL", "BATCHORD_SOURCE_URL"):
        with psycopg.connect(environment[variable]) as connection:
            found[variable] = connection.execute(asked).fetchone()
    assert found == {
        "BATCHORD_DATABASE_URL": ("batchord_ledger", "off"),
        "BATCHORD_AUTHOR_URL": ("batchord_author", "off"),
        "BATCHORD_SOURCE_URL": ("batchord_source", "off"),
    }
    stack.run("migrate")  # at each deploy


def test_health_checks_notice_what_is_not_there(stack: Stack) -> None:
    """A check that cannot fail is none: each fails where its service does not answer."""
    unused = f"redis://:{stack.place.values['REDIS_PASSWORD']}@{LOOPBACK}:{stack.place.ports['redis']}/15"
    wrong = {
        "postgres": {"PGPORT": "1"},
        "redis": {"REDISCLI_AUTH": "wrong"},
        "worker-text": {"HOSTNAME": "elsewhere"},
        "beat": {"BATCHORD_REDIS_URL": unused},
    }
    misled = {
        name: replace(stack.services[name], environment=stack.services[name].environment | changed)
        for name, changed in wrong.items()
    }
    for name in ("flower", "s3"):
        port = str(stack.place.ports[name])
        misled[name] = replace(
            stack.services[name], check=[part.replace(port, "1") for part in stack.services[name].check]
        )
    with ThreadPoolExecutor(len(misled)) as threads:
        assert list(threads.map(Service.healthy, misled.values())) == [False] * len(misled)


def test_servers_let_nobody_in_without_a_password(stack: Stack) -> None:
    """PostgreSQL, Redis, the store and Flower require the passwords in .env."""
    ports = stack.place.ports
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://batchord:wrong@{LOOPBACK}:{ports['postgres']}/batchord")
    with redis.Redis(port=ports["redis"]) as client, pytest.raises(redis.exceptions.AuthenticationError):
        client.ping()
    store = boto3.client(
        "s3",
        endpoint_url=f"http://{LOOPBACK}:{ports['s3']}",
        region_name="us-east-1",
        aws_access_key_id=stack.place.values["S3_ACCESS_KEY_ID"],
        aws_secret_access_key="wrong",  # noqa: S106 -- refused, as it should be
    )
    with closing(store), pytest.raises(botocore.exceptions.ClientError, match="SignatureDoesNotMatch"):
        store.list_buckets()
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(f"http://{LOOPBACK}:{ports['flower']}/workers")
    refused.value.close()


def test_redis_keeps_every_message(stack: Stack) -> None:
    """Written to disk as they come, and refused when memory is full, never dropped."""
    with redis.Redis(port=stack.place.ports["redis"], password=stack.place.values["REDIS_PASSWORD"]) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_the_store_takes_objects(stack: Stack) -> None:
    """With the keys of .env, buckets and objects are written and read."""
    environment = stack.services["worker-image"].environment
    store = boto3.client(
        "s3",
        endpoint_url=environment["BATCHORD_S3_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id=environment["BATCHORD_S3_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["BATCHORD_S3_SECRET_ACCESS_KEY"],
    )
    with closing(store):
        store.create_bucket(Bucket="models")
        store.put_object(Bucket="models", Key="one", Body=b"1")
        assert store.get_object(Bucket="models", Key="one")["Body"].read() == b"1"


@pytest.mark.parametrize("name", ["worker-image", "flower"])
def test_a_stop_is_orderly(stack: Stack, name: str) -> None:
    """SIGTERM ends a service with status 0, long before Compose would kill it."""
    assert stack.processes.stop(name, timeout=20) == 0

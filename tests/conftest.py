"""Real servers for all tests. They start once per test run, and each test gets an empty place on each server.

Nothing here skips: if a server does not start, the run fails.
"""

import itertools
import os
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
import botocore.config
import psycopg
import pytest
import redis as redis_client

# A failure in a helper of the tests says what it compared, as one in a test does. Before they are imported.
pytest.register_assert_rewrite(*(f"tests.{path.stem}" for path in Path(__file__).parent.iterdir()))

from app.localstack import CELERY_ENVIRONMENT, ForkServer, Servers, server_status, start_servers, stop_servers
from app.localstack import superuser_url as superusers_address
from app.localstack.guard import Guard
from batchord.core.addresses.database_roles import DatabaseRoles
from tests.acceptance.cluster import CELERY, READ_LATER
from tests.folders import servers_folder
from tests.forked_commands import ForkedCommands
from tests.sharing import (  # noqa: F401 -- hooks and fixtures count where pytest looks for them
    _torch_stays_out,
    pytest_collection_modifyitems,
    pytest_report_to_serializable,
    pytest_runtest_setup,
    pytest_xdist_auto_num_workers,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# A shell that runs the tests in the background makes them ignore Ctrl-C. Every process that they start would inherit
# this, and tests of Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds our options. It must be in this file: pytest reads other conftest files too late."""
    parser.addoption("--times", type=int, default=1, help="run each drill this many times")
    parser.addoption("--report-drills", type=Path, help="append a line of JSON for each drill to this file")


_TEMPLATE = "batchord_template"
#: Two worker processes with two threads each are slower than one: tests run on small machines.
_FEW_THREADS = {"OMP_NUM_THREADS": "1"}
#: Logical databases of the Valkey server; 0 is left to whoever starts a process without telling it.
_redis_databases = itertools.cycle(range(1, 64))


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Keeps the settings of the developer's shell away from all tests: they may name a real database.

    No test has the checkout's home either: it would find the stack that a person runs there, or start its PostgreSQL.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("BATCHORD_", "AWS_"))]:
            patch.delenv(name)
        patch.setenv("BATCHORD_HOME", "/proc/no-home")
        yield


@pytest.fixture(scope="session", autouse=True)
def _database_of_the_test() -> Iterator[None]:
    """A command that is called in this process finds the database of its test: it must not start PostgreSQL."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.cli.database.is_configured", lambda: True)
        yield


@pytest.fixture(scope="session")
def _servers_home() -> Iterator[Path]:
    """The folder of this test run's servers."""
    home = servers_folder("batchord-tests-")
    yield home
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def servers(_servers_home: Path) -> Iterator[Servers]:
    """PostgreSQL, Valkey and S3 for this test run only, in a folder of their own."""
    guard = Guard()
    try:
        started = start_servers(_servers_home, durable=False)
        for status in server_status(_servers_home):
            assert status.pid is not None
            guard.watch(status.pid)  # servers outlive the process that started them, but not a killed test run
        yield started
    finally:
        stop_servers(_servers_home)
        guard.close()


@pytest.fixture(scope="session")
def superuser_url(servers: Servers, _servers_home: Path) -> str:  # noqa: ARG001 -- they must run
    """PostgreSQL's address for its superuser. Only tests use it."""
    address = superusers_address(_servers_home)
    with psycopg.connect(address, autocommit=True) as connection:
        # `batchord migrate` does this in each database, but tests copy their databases from a template.
        connection.execute("ALTER ROLE batchord SET search_path = public")
    return address


@pytest.fixture
def own_home() -> Iterator[Path]:
    """An empty home for tests that start, kill and restart servers. All servers in it are stopped at the end."""
    home = servers_folder("batchord-own-")
    try:
        yield home
    finally:
        stop_servers(home)
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def create_database(superuser_url: str) -> Callable[[str | None], str]:
    """Creates a database from a template, or an empty one for None, and returns its address."""

    def create(template: str | None) -> str:
        name = f"test_{uuid.uuid4().hex}"
        # Copying files takes half the time of copying pages with the write-ahead log.
        origin = f" TEMPLATE {template} STRATEGY file_copy OWNER batchord_owner" if template else ""
        with psycopg.connect(_database(superuser_url, "postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}{origin}")
            if template:  # rights on the database itself are not copied
                connection.execute(f"GRANT CREATE ON DATABASE {name} TO batchord_author")
        return _database(superuser_url, name)

    return create


@pytest.fixture(scope="session")
def _ledger_template(servers: Servers, superuser_url: str) -> str:
    """A database with the ledger's tables and all roles' rights. It is made once and copied for every test."""
    from batchord.ledger.roles.preparing import prepare_database

    with psycopg.connect(_database(superuser_url, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_TEMPLATE}")
    prepare_database(_roles(servers, _database(superuser_url, _TEMPLATE)))
    return _TEMPLATE


@pytest.fixture
def database_url(create_database: Callable[[str | None], str], _ledger_template: str) -> Iterator[str]:
    """A database for this test only, with the ledger's tables and no rows; its address has the superuser."""
    url = create_database(_ledger_template)
    yield url
    _drop(url)


@pytest.fixture
def database_roles(servers: Servers, database_url: str) -> DatabaseRoles:
    """Addresses of the same database with the roles that users have, one for each kind of work."""
    return replace(_roles(servers, database_url), admin=None)


@pytest.fixture
def empty_database_url(create_database: Callable[[str | None], str]) -> Iterator[str]:
    """A database for this test only, without any table."""
    url = create_database(None)
    yield url
    _drop(url)


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """An empty logical Redis database for this test only."""
    return _empty_redis(servers)


@pytest.fixture
def s3(servers: Servers) -> "Iterator[S3Client]":
    """A boto3 client of the local store."""
    client = boto3.client(
        "s3",
        endpoint_url=servers.s3_endpoint_url,
        aws_access_key_id=servers.s3_access_key_id,
        aws_secret_access_key=servers.s3_secret_access_key,
        region_name="us-east-1",
        config=botocore.config.Config(signature_version="s3v4", proxies={}),
    )
    yield client
    client.close()


@pytest.fixture
def bucket(s3: "S3Client") -> str:
    """The name of an empty bucket for this test only."""
    name = f"test-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """Starts the processes of clusters, each in a fraction of the time that its imports would take."""
    environment = {**CELERY_ENVIRONMENT, **_FEW_THREADS}
    with ForkServer(CELERY, environment=environment, read_later=READ_LATER) as started:
        yield started


@pytest.fixture(scope="session")
def commands() -> Iterator[ForkedCommands]:
    """Runs the commands of clusters, each in a fraction of the time that its imports would take."""
    with ForkedCommands(_FEW_THREADS) as started:
        yield started


@pytest.fixture
def settings_env(servers: Servers, database_roles: DatabaseRoles, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """Environment variables for the processes of this test, to be added to ``os.environ``."""
    return _settings(servers, database_roles, redis_url, tmp_path)


@pytest.fixture(scope="session")
def create_settings(
    servers: Servers, create_database: Callable[[str | None], str], _ledger_template: str
) -> Iterator[Callable[[Path], tuple[dict[str, str], str]]]:
    """Makes what ``settings_env`` and ``database_url`` are, in a folder, for tests that share their processes."""
    made: list[str] = []

    def create(folder: Path) -> tuple[dict[str, str], str]:
        made.append(create_database(_ledger_template))
        roles = replace(_roles(servers, made[-1]), admin=None)
        return _settings(servers, roles, _empty_redis(servers), folder), made[-1]

    yield create
    for url in made:
        _drop(url)


def _empty_redis(servers: Servers) -> str:
    assert servers.redis_url is not None
    url = f"{servers.redis_url.rpartition('/')[0]}/{next(_redis_databases)}"
    with redis_client.Redis.from_url(url) as client:
        client.flushdb()
    return url


def _settings(servers: Servers, roles: DatabaseRoles, redis_url: str, folder: Path) -> dict[str, str]:
    home = folder / "home"
    home.mkdir(mode=0o700)
    return {
        **servers.environment(),
        **roles.by_variable(),
        "BATCHORD_REDIS_URL": redis_url,
        "BATCHORD_HOME": str(home),
        **_FEW_THREADS,
    }


def _database(url: str, name: str) -> str:
    return f"{url.rpartition('/')[0]}/{name}"


def _roles(servers: Servers, url: str) -> DatabaseRoles:
    """The roles of the local stack, in the database of ``url``."""
    roles, name = servers.database_roles(), urlsplit(url).path[1:]
    return DatabaseRoles(
        owner=_database(roles.owner, name),
        ledger=_database(roles.ledger, name),
        author=_database(roles.author, name),
        source=_database(roles.source, name),
        admin=url,
    )


def _drop(url: str) -> None:
    # FORCE ends the sessions of processes that the test killed.
    with psycopg.connect(_database(url, "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {urlsplit(url).path[1:]} WITH (FORCE)")

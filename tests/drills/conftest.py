"""Fixtures of the drills."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.localstack import ForkServer, Servers, start_servers, superuser_url
from batchord.ledger.roles.preparing import prepare_database
from tests.acceptance.cluster import Cluster
from tests.acceptance.conftest import create_notes
from tests.drills.drill import Drill
from tests.forked_commands import ForkedCommands

#: What workers import besides the tasks: fault points where no code of ours runs.
_POINTS = "tests.drills.celery_points"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``--times N`` runs each drill so often."""
    times = metafunc.config.getoption("--times")
    if times > 1:
        metafunc.fixturenames.append("_repetition")
        metafunc.parametrize("_repetition", range(times), ids=[f"#{number}" for number in range(times)])


@pytest.fixture
def cluster(
    settings_env: dict[str, str], database_url: str, tmp_path: Path, fork_server: ForkServer, commands: ForkedCommands
) -> Iterator[Cluster]:
    """A Batchord of this drill alone on the test run's servers; nothing of it runs until the drill starts it."""
    with Cluster(
        settings_env,
        tmp_path,
        database_url=database_url,
        fork_server=fork_server,
        commands=commands,
        include=_POINTS,
        patience=0.1,
    ) as started:
        yield started


@pytest.fixture
def drill(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Drill]:
    """A table of 400 notes, and their pipeline: two shards of ten batches each, run by hand."""
    yield from _drill(cluster, request)


@pytest.fixture
def own_servers(own_home: Path) -> Servers:
    """PostgreSQL, Redis and S3 of this drill alone, to be killed; they keep their data as in earnest."""
    return start_servers(own_home, durable=True)


@pytest.fixture
def own_cluster(
    own_servers: Servers, own_home: Path, tmp_path: Path, fork_server: ForkServer, commands: ForkedCommands
) -> Iterator[Cluster]:
    """A Batchord on servers of its own."""
    environment = own_servers.environment() | {"BATCHORD_HOME": str(own_home), "OMP_NUM_THREADS": "1"}
    prepare_database(own_servers.database_roles())
    url = superuser_url(own_home)
    with Cluster(
        environment,
        tmp_path,
        database_url=url,
        fork_server=fork_server,
        commands=commands,
        include=_POINTS,
        patience=0.1,
    ) as started:
        yield started


@pytest.fixture
def own_drill(own_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Drill]:
    """The same as ``drill`` on servers of its own."""
    yield from _drill(own_cluster, request)


def _drill(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Drill]:
    create_notes(cluster)
    cluster.insert_notes(400)
    drill = Drill(cluster)
    drill.declare()
    failed = request.session.testsfailed
    yield drill
    report = request.config.getoption("--report-drills")
    if report is not None:
        name = request.node.nodeid.partition("tests/drills/")[2]
        drill.report(report, name=name, passed=request.session.testsfailed == failed)

"""Every client speaks TLS with PostgreSQL and Redis, and none with a server that it cannot trust."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from batchord.core.errors import ConfigurationError, TransientError
from batchord.ledger import Ledger
from batchord.queue.switchboard import Switchboard
from batchord.sources.sql import SqlSource
from batchord.sources.sql.engine import dispose_engines
from batchord.sources.sql.reader import open_source
from tests.acceptance.cluster import Cluster
from tests.acceptance.conftest import create_notes
from tests.acceptance.test_flower import RunningFlower
from tests.tls_servers import CERTIFIED, HOST, Authority, TlsPostgres, TlsRedis
from tests.waiting import wait_until

PIPELINE = """
from batchord import Pipeline, Predict, Sql, SqlSource, every

def length(frame):
    return frame["body"].str.len()

notes = Pipeline(
    "notes",
    schedule=every(seconds=2),
    steps=[
        Predict(
            "length",
            source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
            model=length,
            shard_rows=10,
        ),
        Sql("count", "SELECT count(*) AS n FROM batchord.predictions", after="length"),
    ],
)
"""
#: Celery's own clients, without a check of ours before them.
CELERY_CLIENTS = {
    "broker": "app.connection().ensure_connection(max_retries=1, interval_start=0)",
    "results": "app.backend.client.ping()",
    "redbeat": (
        "from redbeat.schedulers import get_redis; app.conf.redbeat_redis_url = app.conf.broker_url; "
        "app.conf.redbeat_redis_options = {}; get_redis(app).ping()"
    ),
    "flower": (
        "import asyncio; from flower.utils.broker import Broker; "
        "broker = Broker(app.connection().as_uri(include_password=True), "
        "broker_options=app.conf.broker_transport_options, broker_use_ssl=app.conf.broker_use_ssl); "
        "asyncio.run(broker.queues(['control']))"
    ),
}


@pytest.fixture
def cluster(tls_env: dict[str, str], tls_postgres: TlsPostgres, tmp_path: Path) -> Iterator[Cluster]:
    """A table of notes and a scheduled pipeline over it; nothing is left in the database afterwards."""
    with Cluster(tls_env, tmp_path, database_url=tls_postgres.url()) as started:
        started.batchord("migrate")
        create_notes(started)
        started.pipeline("notes", PIPELINE)
        yield started
    with psycopg.connect(tls_postgres.url(), autocommit=True) as session:
        session.execute("DROP TABLE notes; DROP SCHEMA batchord, batchord_results CASCADE")


def test_a_scheduled_run_goes_all_the_way(cluster: Cluster, tmp_path: Path) -> None:
    """From beat's tick over a chord of several shards to the summary, and Flower sees the queues.

    It may take half a minute: all of Batchord's processes start, and a chord has sixty parts.
    """
    cluster.insert_notes(600)
    cluster.start("control", "worker", "beat")
    cluster.wait_for_records("notes", "notes", timeout=120)
    cluster.assert_exactly_once("notes", "notes")
    plain = cluster.sql(
        "SELECT application_name FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) "
        "WHERE backend_type = 'client backend' AND NOT ssl"
    )
    assert plain == []
    cluster.batchord("pause", "notes")
    assert "will not start" not in cluster.log("beat")
    flower = RunningFlower(cluster, tmp_path, FLOWER_BASIC_AUTH="me:s3cret")
    try:
        queues = wait_until(
            lambda: json.loads(flower.get("/api/queues/length", login="me:s3cret")[2])["active_queues"],
            description="Flower knows the queues",
        )
        assert "control" in {queue["name"] for queue in queues}
    finally:
        flower.stop()


@pytest.mark.parametrize("client", CELERY_CLIENTS)
def test_each_client_of_celerys_checks_the_server(tls_env: dict[str, str], tls_redis: TlsRedis, client: str) -> None:
    """Kombu trusts any server unless it is configured otherwise."""
    assert ask(tls_env, CELERY_CLIENTS[client]).returncode == 0
    untrusted = tls_env | {"BATCHORD_REDIS_URL": tls_redis.url(options="?")}
    ended = ask(untrusted, CELERY_CLIENTS[client])
    assert ended.returncode != 0
    assert "CERTIFICATE_VERIFY_FAILED" in ended.stderr
    unchecked = tls_env | {"BATCHORD_REDIS_URL": tls_redis.url(host="127.0.0.1", options="?ssl_cert_reqs=none")}
    assert ask(unchecked, CELERY_CLIENTS[client]).returncode == 0


@pytest.mark.parametrize("client", CELERY_CLIENTS)
def test_each_client_of_celerys_shows_a_certificate(
    tls_env: dict[str, str], tls_redis: TlsRedis, authority: Authority, client: str
) -> None:
    """Where Redis asks for one."""
    certificate, key = authority.issue("worker")
    options = f"?ssl_ca_certs={authority.certificate}&ssl_certfile={certificate}&ssl_keyfile={key}"
    tls_redis.want_certificates(wanted=True)
    try:
        assert ask(tls_env, CELERY_CLIENTS[client]).returncode != 0
        told = tls_env | {"BATCHORD_REDIS_URL": tls_redis.url(scheme="valkeys", options=options)}
        assert ask(told, CELERY_CLIENTS[client]).returncode == 0
    finally:
        tls_redis.want_certificates(wanted=False)


def test_the_switchboard_checks_the_server(tls_redis: TlsRedis) -> None:
    """A refusal says what to do."""
    Switchboard(tls_redis.url()).show({})
    with pytest.raises(ConfigurationError, match="ssl_ca_certs"):
        Switchboard(tls_redis.url(options="?")).show({})


def test_ledger_and_sources_show_a_certificate(tls_postgres: TlsPostgres, authority: Authority) -> None:
    """Where PostgreSQL asks for one; the ledger by libpq's own reading, a source by SQLAlchemy's."""
    without = tls_postgres.url(user=CERTIFIED)
    with pytest.raises(ConfigurationError, match=r"BATCHORD_DATABASE_URL, give the user's certificate in sslcert"):
        Ledger(without).check()
    certificate, key = authority.issue(CERTIFIED)
    url = f"{without}&sslcert={certificate}&sslkey={key}"
    Ledger(url).check()
    source = SqlSource("SELECT 1 AS id", key="id", url=url)
    try:
        assert open_source(source, default_url=tls_postgres.url()).greatest_position() is not None
    finally:
        dispose_engines()


def test_a_source_checks_the_server(tls_postgres: TlsPostgres) -> None:
    """By the same words as the ledger."""
    stranger = SqlSource("SELECT 1 AS id", key="id", url=tls_postgres.url(host="127.0.0.1"))
    try:
        with pytest.raises(ConfigurationError, match="write the host name that is in its certificate"):
            open_source(stranger, default_url=tls_postgres.url()).greatest_position()
    finally:
        dispose_engines()


def test_a_server_that_went_away_may_come_back(tls_postgres: TlsPostgres) -> None:
    """A closed port is not a refusal."""
    with pytest.raises(TransientError):
        Ledger(tls_postgres.url().replace(f"{HOST}:{tls_postgres.port}", f"{HOST}:9")).check()


def ask(environment: dict[str, str], question: str) -> "subprocess.CompletedProcess[str]":
    """A process of its own, with Batchord's Celery application."""
    return subprocess.run(
        [sys.executable, "-c", f"from batchord.app.celery import app; {question}"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

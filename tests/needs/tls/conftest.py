"""Servers that require TLS, with certificates that no machine trusts by default."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tls_servers import Authority, TlsPostgres, TlsRedis


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that signed the servers' certificates."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def tls_redis(authority: Authority) -> Iterator[TlsRedis]:
    """A Redis of this test run alone."""
    with TlsRedis(authority) as server:
        yield server


@pytest.fixture(scope="session")
def tls_postgres(authority: Authority) -> Iterator[TlsPostgres]:
    """A PostgreSQL of this test run alone."""
    with TlsPostgres(authority) as server:
        yield server


@pytest.fixture
def tls_env(tls_redis: TlsRedis, tls_postgres: TlsPostgres, tmp_path: Path) -> dict[str, str]:
    """The environment for a process that uses these servers. It needs no object store."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return {
        "BATCHORD_DATABASE_URL": tls_postgres.url(),
        "BATCHORD_REDIS_URL": tls_redis.url(),
        "BATCHORD_HOME": str(home),
        "OMP_NUM_THREADS": "1",
    }

"""A certificate that is wrong ends commands, workers and beat with one line: the variable, the host, what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchord.core.errors import ConfigurationError
from batchord.ledger import Ledger, migrate
from batchord.queue.redis_server import check_redis
from tests.tls_servers import Authority, TlsPostgres, TlsRedis

#: What cannot do without each of the two servers.
PROGRAMS = [
    *(("BATCHORD_REDIS_URL", f"batchord {command}") for command in ("run notes", "pause notes", "up")),
    *(("BATCHORD_REDIS_URL", f"celery -A app {program}") for program in ("worker -P threads", "beat", "flower")),
    *(("BATCHORD_DATABASE_URL", f"batchord {command}") for command in ("migrate", "runs", "run notes --local", "up")),
    ("BATCHORD_DATABASE_URL", "celery -A app worker -P threads"),
]


@pytest.fixture
def other(tmp_path: Path) -> Authority:
    """An authority that signed none of these certificates."""
    return Authority(tmp_path)


def redis_line(url: str) -> str:
    """What is said of a Redis that cannot be used."""
    with pytest.raises(ConfigurationError) as caught:
        check_redis(url)
    (line,) = str(caught.value).splitlines()
    assert "BATCHORD_REDIS_URL" in line
    return line


def postgres_line(url: str) -> str:
    """What is said of a ledger that cannot be used."""
    with pytest.raises(ConfigurationError) as caught:
        Ledger(url).check()
    (line,) = str(caught.value).splitlines()
    assert "BATCHORD_DATABASE_URL" in line
    return line


def test_each_refusal_of_redis_says_what_to_do(tls_redis: TlsRedis, other: Authority, tmp_path: Path) -> None:
    """The place, and a person's next step."""
    for options in ("?", f"?ssl_ca_certs={other.certificate}"):
        line = redis_line(tls_redis.url(options=options))
        assert f"Redis at localhost:{tls_redis.port}" in line
        assert "Set ssl_ca_certs in the address to the file" in line
        assert tls_redis.password not in line
    assert "Write the host name that is in its certificate" in redis_line(tls_redis.url(host="127.0.0.1"))
    assert "Write rediss:// instead" in redis_line(tls_redis.url(scheme="redis", options="?"))
    missing = tmp_path / "nosuch.pem"
    assert f"ssl_ca_certs={missing}" in redis_line(tls_redis.url(options=f"?ssl_ca_certs={missing}"))


def test_a_client_without_a_certificate_is_reported(tls_redis: TlsRedis, other: Authority) -> None:
    """By Redis itself, which ends the connection; with one of somebody else's it is the same."""
    certificate, key = other.issue("stranger")
    shown = f"?ssl_ca_certs={tls_redis.authority.certificate}&ssl_certfile={certificate}&ssl_keyfile={key}"
    tls_redis.want_certificates(wanted=True)
    try:
        for url in (tls_redis.url(), tls_redis.url(options=shown)):
            assert "Set ssl_certfile and ssl_keyfile in the address to that certificate" in redis_line(url)
    finally:
        tls_redis.want_certificates(wanted=False)


def test_each_refusal_of_postgresql_says_what_to_do(
    tls_postgres: TlsPostgres, other: Authority, tmp_path: Path
) -> None:
    """The words of libpq, and a person's next step."""
    full = "?sslmode=verify-full"
    missing = tmp_path / "nosuch.pem"
    strange = postgres_line(tls_postgres.url(options=f"{full}&sslrootcert={other.certificate}"))
    assert "set sslrootcert to the file" in strange
    assert "set sslrootcert to the file" in postgres_line(tls_postgres.url(options=f"{full}&sslrootcert={missing}"))
    assert "set sslrootcert to the file" in postgres_line(tls_postgres.url(options=f"{full}&sslrootcert=system"))
    assert "write the host name that is in its certificate" in postgres_line(tls_postgres.url(host="127.0.0.1"))
    assert "write sslmode=verify-full" in postgres_line(tls_postgres.url(options="?sslmode=disable"))
    assert tls_postgres.password not in strange


@pytest.mark.parametrize(("broken", "program"), PROGRAMS)
def test_everything_ends_with_one_line(
    tls_env: dict[str, str],
    tls_redis: TlsRedis,
    tls_postgres: TlsPostgres,
    tmp_path: Path,
    *,
    broken: str,
    program: str,
) -> None:
    """Whichever of the two servers it is that cannot be trusted."""
    wrong = {
        "BATCHORD_REDIS_URL": tls_redis.url(options="?"),
        "BATCHORD_DATABASE_URL": tls_postgres.url(host="127.0.0.1"),
    }
    migrate(tls_postgres.url())
    ended = run_program(tls_env | {broken: wrong[broken]}, tmp_path, program)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    line = ended.stderr.strip().splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert broken in line
    assert "localhost" in line or "127.0.0.1" in line
    assert tls_redis.password not in ended.stdout + ended.stderr
    assert tls_postgres.password not in ended.stdout + ended.stderr


def run_program(environment: dict[str, str], folder: Path, line: str) -> "subprocess.CompletedProcess[str]":
    """Runs a program of this environment's over one pipeline."""
    pipelines = folder / "pipelines"
    pipelines.mkdir(exist_ok=True)
    (pipelines / "notes.py").write_text(
        "from batchord import Pipeline, Python\ndef say(context):\n    return 1\n"
        "notes = Pipeline('notes', steps=[Python('say', say)])\n"
    )
    program, *arguments = line.split()
    return subprocess.run(
        [Path(sys.executable).parent / program, *arguments],
        env=os.environ | environment | {"BATCHORD_PIPELINES": str(pipelines)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

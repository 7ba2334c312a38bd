"""PgBouncer in front of the tests' PostgreSQL, in transaction mode: a session of the server serves many clients."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from app.adapters.stack import Servers
from app.adapters.stack.claims import claim_port
from tests.waiting import wait_until

#: ``auth_type = any``: whoever comes is who the server is told. It listens on loopback, for the time of a test.
_CONFIGURATION = """
[databases]
* = host={host} port={port} user={user} password={password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 200
"""


@pytest.fixture(scope="session")
def pooler_port(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a PgBouncer of this test run alone."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.fail("These tests need PgBouncer, which is not installed: apt-get install pgbouncer.", pytrace=False)
    behind = sa.make_url(servers.database_url or "")
    claim = claim_port()
    listen = claim.port
    folder = tmp_path_factory.mktemp("pgbouncer")
    file = folder / "pgbouncer.ini"
    file.write_text(
        _CONFIGURATION.format(
            host=behind.host, port=behind.port, user=behind.username, password=behind.password, listen=listen
        )
    )
    command = [program, str(file)]
    if os.geteuid() == 0:  # it refuses to run as root, and must read its file as somebody else
        shutil.chown(file, "nobody")
        _open_ways_to(file)
        command[1:1] = ["-u", "nobody"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        wait_until(lambda: _answers(listen), description="PgBouncer answers")
        yield listen
        process.terminate()
    claim.close()


@pytest.fixture
def pooled(pooler_port: int) -> Callable[[str], str]:
    """Turns a database's address into the same by way of the pooler."""

    def through(url: str) -> str:
        address = sa.make_url(url).set(host="127.0.0.1", port=pooler_port, password=None)
        return address.render_as_string(hide_password=False)

    return through


def _open_ways_to(file: Path) -> None:
    """Lets anybody pass through pytest's folders, which are private, but not list them."""
    for folder in file.parents:
        if folder.stat().st_uid != os.geteuid() or folder.stat().st_mode & 0o1:
            return
        folder.chmod(folder.stat().st_mode | 0o1)


def _answers(port: int) -> bool:
    try:
        psycopg.connect(f"host=127.0.0.1 port={port} user=batchord dbname=postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True

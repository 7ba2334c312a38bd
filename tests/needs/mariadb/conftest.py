"""A MariaDB of the test run alone, which an address of MySQL's reaches as well."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest

from app.localstack.claims import claim_port
from batchord.sources.sql.engine import dispose_engines
from tests.waiting import wait_until

_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=_PATH)
    if found is None:
        pytest.fail(
            "These tests need MariaDB, which is not installed: apt-get install mariadb-client-core mariadb-server-core."
        )
    return found


@pytest.fixture(scope="session")
def server() -> Iterator[dict[str, Any]]:
    """How its owner connects to it."""
    user = ["--user=root"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="batchord-mariadb-") as home, closing(claim_port()) as claim:
        # A server that starts removes what lies in its folder for temporary tables, another starting one's as well.
        temporary = Path(home) / "tmp"
        temporary.mkdir()
        own = [f"--datadir={Path(home) / 'data'}", f"--tmpdir={temporary}", *user]
        made = subprocess.run(
            [_program("mariadb-install-db"), "--no-defaults", "--auth-root-authentication-method=normal", *own],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if made.returncode:
            pytest.fail(f"mariadb-install-db failed:\n{made.stdout}", pytrace=False)
        address = {"unix_socket": str(Path(home) / "socket"), "user": "root", "charset": "utf8mb4"}
        options = [f"--socket={address['unix_socket']}", f"--port={claim.port}", "--bind-address=127.0.0.1"]
        options += ["--character-set-server=utf8mb4", "--innodb-buffer-pool-size=16M"]
        said = Path(home) / "log"
        with said.open("wb") as log:
            running = subprocess.Popen([_program("mariadbd"), "--no-defaults", *own, *options], stdout=log, stderr=log)
        try:
            wait_until(lambda: b"ready for connections" in said.read_bytes(), description="MariaDB is up", timeout=60)
            yield {**address, "port": claim.port}
        finally:
            running.terminate()
            running.wait()


@pytest.fixture
def database() -> str:
    """The name of this test's database."""
    return f"test_{uuid.uuid4().hex}"


@pytest.fixture
def owner(server: dict[str, Any], database: str) -> Iterator["pymysql.Connection[Any]"]:
    """A session of the server's owner in the database, which ``guest`` may use."""
    options = {key: value for key, value in server.items() if key != "port"}
    with closing(pymysql.connect(**options, autocommit=True)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {database}")
        cursor.execute("CREATE OR REPLACE USER guest@'127.0.0.1' IDENTIFIED BY 'pw-of-guest'")
        cursor.execute(f"GRANT ALL ON {database}.* TO guest@'127.0.0.1'")
        connection.select_db(database)
        yield connection
        cursor.execute(f"DROP DATABASE {database}")
    dispose_engines()


@pytest.fixture(params=["mysql+pymysql", "mariadb+pymysql"])
def url(owner: object, server: dict[str, Any], database: str, request: pytest.FixtureRequest) -> str:  # noqa: ARG001 -- it makes the database
    """The address of the database, in each of the spellings that people use."""
    return f"{request.param}://guest:pw-of-guest@127.0.0.1:{server['port']}/{database}"

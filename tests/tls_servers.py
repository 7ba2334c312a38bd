"""PostgreSQL and Redis that require TLS. They come from Debian's packages, since the embedded servers have no TLS."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psycopg
import redis as redis_client
import trustme

from app.localstack.claims import claim_port
from tests.waiting import wait_until

#: The name in the servers' certificates. With any other name, such as 127.0.0.1, the certificate does not match.
HOST = "localhost"
#: A role whose sessions also need a certificate of the client.
CERTIFIED = "certified"


class Authority:
    """The authority that signs a test's certificates, and the files of these certificates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._signer = trustme.CA()
        self.certificate = folder / "ca.pem"
        self._signer.cert_pem.write_to_path(str(self.certificate))

    def issue(self, name: str) -> tuple[Path, Path]:
        """The files of a new certificate for ``name`` and of its key."""
        issued = self._signer.issue_cert(name, common_name=name)
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(str(certificate))
        issued.private_key_pem.write_to_path(str(key))
        key.chmod(0o600)
        return certificate, key


class TlsServer:
    """A server for one test run only, on loopback, in a folder of its own. It ends with the block."""

    #: The program, and the folders besides PATH in which Debian may have it.
    program: str
    places: str = ""
    #: The user that runs it if root runs the tests: PostgreSQL refuses root.
    user: str | None = None
    stop_signal = signal.SIGTERM

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.password = secrets.token_hex(12)
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        claim = claim_port()
        self._resources.callback(claim.close)
        self.port = claim.port
        self.folder = Path(self._resources.enter_context(tempfile.TemporaryDirectory(prefix="batchord-tls-")))
        for file, name in zip(self.authority.issue(HOST), ("server.pem", "server.key"), strict=True):
            shutil.copy(file, self.folder / name)
        shutil.copy(self.authority.certificate, self.folder / "ca.pem")
        if self._runs_as:
            owner = pwd.getpwnam(self._runs_as)
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        command = self.prepare()
        self._log = self._resources.enter_context((self.folder / "log").open("wb"))
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log, user=self._runs_as)
        self._resources.callback(self._stop)
        wait_until(self.answers, description=f"{self.program} answers", timeout=60)
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def prepare(self) -> list[str]:
        """Creates the server's data. Returns the command that runs it in the foreground."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether the server answers."""
        raise NotImplementedError

    def path_of(self, program: str) -> str:
        """The path of a program. Fails if the program is not installed."""
        path = shutil.which(program) or shutil.which(program, path=self.places)
        assert path, f"These tests need {program}, which is not installed: see tests/needs/tls/debian-packages.txt"
        return path

    def run(self, *command: str) -> None:
        """Runs a program as the server's user."""
        subprocess.run(command, check=True, capture_output=True, user=self._runs_as)

    @property
    def _runs_as(self) -> str | None:
        return self.user if os.geteuid() == 0 else None

    def _stop(self) -> None:
        self._process.send_signal(self.stop_signal)
        self._process.wait(timeout=30)


class TlsRedis(TlsServer):
    """Redis with TLS on its only port."""

    program = "redis-server"

    def url(self, *, host: str = HOST, scheme: str = "rediss", options: str = "") -> str:
        """The address. It trusts the authority, unless ``options`` replace this."""
        trusting = options or f"?ssl_ca_certs={self.authority.certificate}"
        return f"{scheme}://:{self.password}@{host}:{self.port}/3{trusting}"

    def want_certificates(self, *, wanted: bool) -> None:
        """Sets whether clients must show a certificate from now on."""
        with self._client() as client:
            client.config_set("tls-auth-clients", "yes" if wanted else "optional")

    def prepare(self) -> list[str]:
        """See the base class."""
        settings = {
            "port": "0",
            "tls-port": str(self.port),
            "bind": "127.0.0.1",
            "tls-cert-file": self.folder / "server.pem",
            "tls-key-file": self.folder / "server.key",
            "tls-ca-cert-file": self.folder / "ca.pem",
            "tls-auth-clients": "optional",
            "requirepass": self.password,
            "dir": self.folder,
            "save": '""',
        }
        file = self.folder / "redis.conf"
        file.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        return [self.path_of(self.program), str(file)]

    def answers(self) -> bool:
        """See the base class."""
        try:
            with self._client() as client:
                return bool(client.ping())
        except redis_client.exceptions.ConnectionError:
            return False

    def _client(self) -> redis_client.Redis:
        certificate, key = self.folder / "server.pem", self.folder / "server.key"
        return redis_client.Redis.from_url(self.url(), ssl_certfile=str(certificate), ssl_keyfile=str(key))


class TlsPostgres(TlsServer):
    """PostgreSQL with its own databases. The role ``certified`` needs a certificate."""

    program = "postgres"
    user = "postgres"
    stop_signal = signal.SIGINT
    places = os.pathsep.join(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)))

    def url(self, *, user: str = "batchord", host: str = HOST, options: str = "") -> str:
        """The address. It checks the server's certificate, unless ``options`` replace this."""
        checking = options or f"?sslmode=verify-full&sslrootcert={self.authority.certificate}"
        return f"postgresql://{user}:{self.password}@{host}:{self.port}/postgres{checking}"

    def prepare(self) -> list[str]:
        """See the base class."""
        password = self.folder / "password"
        password.write_text(self.password)
        data = self.folder / "data"
        if self._runs_as:
            shutil.chown(password, self._runs_as)
        made = ("--username=batchord", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync")
        self.run(self.path_of("initdb"), f"--pgdata={data}", *made, "--locale=C")
        (data / "pg_hba.conf").write_text(
            f"hostssl all {CERTIFIED} 127.0.0.1/32 scram-sha-256 clientcert=verify-full\n"
            "hostssl all all 127.0.0.1/32 scram-sha-256\n"
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "ssl": "on",
            "ssl_cert_file": self.folder / "server.pem",
            "ssl_key_file": self.folder / "server.key",
            "ssl_ca_file": self.folder / "ca.pem",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self.path_of(self.program), "-D", str(data), *options]

    def answers(self) -> bool:
        """See the base class."""
        try:
            with psycopg.connect(self.url(), autocommit=True) as session:
                role = session.execute("SELECT FROM pg_roles WHERE rolname = %s", [CERTIFIED]).fetchone()
                if role is None:
                    session.execute(f"CREATE ROLE {CERTIFIED} SUPERUSER LOGIN PASSWORD '{self.password}'")
        except psycopg.OperationalError:
            return False
        return True

"""The embedded nanio: an S3-compatible store that keeps objects as plain files in ``home/s3``."""

import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .embedded import LOOPBACK, packaged, plain_environment
from .titles import project_name

_PROGRAM = Path(__file__).with_name("s3_server.py")


@dataclass(frozen=True, kw_only=True)
class S3:
    """The object store, with one pair of keys."""

    home: Path
    access_key_id: str
    secret_access_key: str
    name: str = "s3"
    #: A short wait: after SIGTERM, the store waits for the end of each download, as long as the client takes.
    stop_signals: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 5.0),)

    def url(self, port: int) -> str:
        """The endpoint, without the keys."""
        return f"http://{LOOPBACK}:{port}"

    def prepare(self, port: int, lock: int) -> None:  # noqa: ARG002 -- the port is given on the command line
        """Creates the folder. Raises ConfigurationError if the package is missing."""
        packaged("nanio")
        (self.home / "s3").mkdir(mode=0o700, exist_ok=True)

    def command(self, port: int) -> Sequence[str]:
        """The command for the server in the foreground. Without --host, it would listen on all addresses."""
        return [
            sys.executable,
            *("-X", f"project={project_name(self.home)}"),  # for `ps`: Python ignores options that it does not know
            "-P",  # without it, a folder `nanio` in the working directory would pass for the package
            str(_PROGRAM),
            f"--host={LOOPBACK}",
            f"--port={port}",
            f"--data-dir={self.home / 's3'}",
        ]

    def environment(self) -> Mapping[str, str]:
        """The environment with the keys: only the same user can read a process's environment."""
        others = {name: value for name, value in plain_environment().items() if not name.startswith("NANIO_")}
        return others | {"NANIO_ACCESS_KEY": self.access_key_id, "NANIO_SECRET_KEY": self.secret_access_key}

    def answers(self, port: int) -> bool:
        """Whether the server accepts a request that is signed with our keys."""
        # Imported here: most commands import this module, and none of them asks the store.
        import boto3
        import botocore.config
        import botocore.exceptions

        client = boto3.client(
            "s3",
            endpoint_url=self.url(port),
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name="us-east-1",
            config=botocore.config.Config(
                connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 1}, proxies={}
            ),
        )
        try:
            client.list_buckets()
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            return False
        finally:
            client.close()
        return True

    def finish(self, port: int) -> None:
        """Does nothing: clients need nothing more."""

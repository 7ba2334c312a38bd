"""nanio, embedded: an S3-compatible store that keeps objects as plain files in ``home/s3``."""

import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import boto3
import botocore.config
import botocore.exceptions

from .embedded import LOOPBACK, packaged, plain_environment

_PROGRAM = Path(__file__).with_name("s3_server.py")


@dataclass(frozen=True, kw_only=True)
class S3:
    """One bucket store with one pair of keys."""

    home: Path
    access_key_id: str
    secret_access_key: str
    name: str = "s3"
    #: An open download would delay SIGTERM's orderly end for as long as its client likes.
    stop_signals: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 5.0),)

    def url(self, port: int) -> str:
        """The endpoint, without the keys."""
        return f"http://{LOOPBACK}:{port}"

    def prepare(self, port: int, lock: int) -> None:  # noqa: ARG002 -- the port is given on the command line
        """Make the folder. Raises ConfigurationError when the package is missing."""
        packaged("nanio")
        (self.home / "s3").mkdir(mode=0o700, exist_ok=True)

    def command(self, port: int) -> Sequence[str]:
        """The server in the foreground; it would listen on every address if not told."""
        return [
            sys.executable,
            "-P",  # a folder `nanio` where the user happens to be is not the package
            str(_PROGRAM),
            f"--host={LOOPBACK}",
            f"--port={port}",
            f"--data-dir={self.home / 's3'}",
        ]

    def environment(self) -> Mapping[str, str]:
        """The keys come this way: only the same user can read a process's environment."""
        others = {name: value for name, value in plain_environment().items() if not name.startswith("NANIO_")}
        return others | {"NANIO_ACCESS_KEY": self.access_key_id, "NANIO_SECRET_KEY": self.secret_access_key}

    def answers(self, port: int) -> bool:
        """Whether a request signed with our keys is served."""
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
        """Nothing more is needed."""

"""The embedded nanio: an S3-compatible store that keeps objects as plain files in ``home/s3``."""

import http.client
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from .embedded import LOOPBACK, packaged, plain_environment
from .titles import project_name

_ANSWER_SECONDS = 5.0
#: Any would do: the store has no regions, but a signature names one.
_REGION = "us-east-1"
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
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", "/", headers=self._signed(f"{LOOPBACK}:{port}"))
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _signed(self, host: str) -> dict[str, str]:
        """The headers of ``GET /``, signed by version 4 of Amazon's signatures.

        boto3 would take 25 MB of the supervisor, which asks once, and a second of each start.
        """
        # Imported here: most commands import this module, and none of them asks the store.
        from nanio.auth import sigv4

        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        day = moment[:8]
        headers = {"host": host, "x-amz-content-sha256": sigv4.EMPTY_SHA256, "x-amz-date": moment}
        request = sigv4.build_canonical_request(
            method="GET",
            path="/",
            query="",
            headers=headers,
            signed_headers=list(headers),
            payload_hash=sigv4.EMPTY_SHA256,
        )
        scope = f"{day}/{_REGION}/{sigv4.SERVICE}/aws4_request"
        text = sigv4.build_string_to_sign(amz_date=moment, credential_scope=scope, canonical_request=request)
        key = sigv4.derive_signing_key(self.secret_access_key, date=day, region=_REGION)
        signature = sigv4.compute_signature(key, text)
        headers["authorization"] = (
            f"{sigv4.ALGORITHM} Credential={self.access_key_id}/{scope}, SignedHeaders={';'.join(headers)}, "
            f"Signature={signature}"
        )
        return headers

    def finish(self, port: int) -> None:
        """Does nothing: clients need nothing more."""

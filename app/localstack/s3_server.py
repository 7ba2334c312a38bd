"""The embedded S3-compatible store, as a program of its own: nanio, with keys taken as they are sent.

nanio computes a signature over the decoded path, which it decodes once more: no request for a key that holds ``%`` is
ever let in. Here it sees the path as it was signed while it checks, and the decoded one afterwards. And a part of a key
that is no possible file name is no reason for a status of 500, which says that the store is failing.
"""

import argparse
from pathlib import Path
from typing import Any

import uvicorn
from nanio.app import build_app
from nanio.auth.credentials import EnvCredentialResolver
from nanio.config import Settings
from nanio.errors import S3Error
from nanio.logging import setup_logging
from starlette.middleware import Middleware
from starlette.responses import Response

#: Bytes of a file's name on every usual file system, and what nanio adds to the last part for its notes.
_LONGEST_NAME = 255
_ADDED = len(".json.tmp")
_DECODED = "batchord.decoded_path"


class KeyTooLong(S3Error):  # type: ignore[misc]
    """As Amazon's store says it of keys beyond its own limit."""

    code = "KeyTooLongError"
    message = f"A part of the key is longer than {_LONGEST_NAME} bytes, or the last one than {_LONGEST_NAME - _ADDED}."
    http_status = 400


class AsSent:
    """Shows the path as the client signed it, percent-encoded. Goes around the check of signatures."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI's own signature."""
        if scope["type"] == "http":
            scope = {**scope, "path": scope["raw_path"].decode("ascii"), _DECODED: scope["path"]}
        await self._app(scope, receive, send)


class AsNamed:
    """Shows the decoded path again, and answers for keys that no file can have. Goes inside the check."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI's own signature."""
        app = self._app
        if scope["type"] == "http":
            scope = {**scope, "path": scope[_DECODED]}
            if _too_long(scope["path"]):
                error = KeyTooLong()
                app = Response(error.to_xml(), status_code=error.http_status, media_type="application/xml")
        await app(scope, receive, send)


def _too_long(path: str) -> bool:
    *folders, name = (len(part.encode("utf-8", "surrogateescape")) for part in path.split("/"))
    return max(folders, default=0) > _LONGEST_NAME or name > _LONGEST_NAME - _ADDED


def main() -> None:
    """Serve until SIGTERM. The pair of keys is in the environment, where only the same user can read it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    given = parser.parse_args()
    setup_logging("warning")
    settings = Settings(
        data_dir=given.data_dir.resolve(), host=given.host, port=given.port, credentials=EnvCredentialResolver()
    )
    app = build_app(settings)
    app.user_middleware = [Middleware(AsSent), *app.user_middleware, Middleware(AsNamed)]
    uvicorn.run(app, host=given.host, port=given.port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()

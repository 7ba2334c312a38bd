"""The embedded S3-compatible store as a program of its own: nanio, with two corrections.

nanio computes a signature over the decoded path, which it decodes once more. So it refuses all requests for a key that
holds ``%``. Here it sees the path as the client signed it during the check, and the decoded path afterwards. And for a
key with a part that cannot be a file name, it answers 400 instead of 500, which would mean that the store is failing.
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

#: The most bytes of a file's name on all usual file systems, and the bytes that nanio adds to a key's last part.
_LONGEST_NAME = 255
_ADDED = len(".json.tmp")
_DECODED = "batchord.decoded_path"


class KeyTooLong(S3Error):  # type: ignore[misc]
    """The error that Amazon's store returns for keys beyond its own limit."""

    code = "KeyTooLongError"
    message = f"A part of the key is longer than {_LONGEST_NAME} bytes, or the last one than {_LONGEST_NAME - _ADDED}."
    http_status = 400


class AsSent:
    """Shows nanio the path as the client signed it, percent-encoded. It wraps the check of signatures."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handles a request; see ASGI."""
        if scope["type"] == "http":
            scope = {**scope, "path": scope["raw_path"].decode("ascii"), _DECODED: scope["path"]}
        await self._app(scope, receive, send)


class AsNamed:
    """Shows nanio the decoded path again, and refuses keys that cannot be files. The check of signatures wraps it."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handles a request; see ASGI."""
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
    arguments = parser.parse_args()
    setup_logging("warning")
    settings = Settings(
        data_dir=arguments.data_dir.resolve(),
        host=arguments.host,
        port=arguments.port,
        credentials=EnvCredentialResolver(),
    )
    app = build_app(settings)
    app.user_middleware = [Middleware(AsSent), *app.user_middleware, Middleware(AsNamed)]
    uvicorn.run(app, host=arguments.host, port=arguments.port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()

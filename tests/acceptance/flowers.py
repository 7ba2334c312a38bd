"""A real Flower, as a person starts it."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from email.message import Message
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import HTTPError
from urllib.parse import urlencode

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

#: The one page that is open to everybody.
HEALTH = "/healthcheck"
#: What a template prints of a thing that is no text: of a method that was not called, or of an object without a text.
_REPR = re.compile(r"bound method |(?:<|&lt;)(?:function|built-in|class|module|generator) | object at 0x[0-9a-f]+")


def misprints(text: str) -> list[str]:
    """The representations of Python's objects in a page, which no person is meant to read."""
    return _REPR.findall(text)


class RunningFlower:
    """``celery -A app flower``, as a person types it, in a folder of its own."""

    def __init__(self, cluster: Cluster, folder: Path, *options: str, prefix: str = "", **environment: str) -> None:
        """``prefix``: its ``url_prefix`` with a slash; the paths of the methods follow it."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.cluster = cluster
        self.log = folder / "flower.log"
        self.prefix = prefix
        if prefix:
            options = (*options, f"--url-prefix={prefix[1:]}")
        root = str(Path(__file__).parents[2])
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "app", "flower", f"--port={self.port}", *options],
                cwd=folder,
                env={**os.environ, **cluster.environment, "PYTHONPATH": root, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(lambda: self.get(HEALTH)[0] == 200, description="Flower answers", timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @cached_property
    def login(self) -> str:
        """The ``name:password`` that this home's Flower made."""
        said = self.cluster.batchord("status", "--password", "--json", check=False)
        found = json.loads(said.stdout)
        return f"{found['flower_user']}:{found['flower_password']}"

    def get(
        self, path: str, *, login: str | None = None, host: str | None = None, method: str = "GET"
    ) -> tuple[int, Message, str]:
        """Status, headers and text of a reply. The status is 0 if no server answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{self.prefix}{path}", method=method)
        if login is not None:
            request.add_header("Authorization", _basic(login))
        if host is not None:
            request.add_header("Host", host)
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return reply.status, reply.headers, _checked(path, reply.read().decode())
        except HTTPError as error:
            return error.code, error.headers, _checked(path, error.read().decode())
        except OSError:
            return 0, Message(), ""

    def page(self, path: str) -> str:
        """The text of a page, for who has the password."""
        status, _, text = self.get(path, login=self.login)
        assert status == 200, (path, status, text)
        return text

    def press(self, page: str, action: str, **fields: str) -> tuple[int, str]:
        """Presses the button of ``page`` that leads to ``action``, as a browser does.

        Returns the status and the text of the page that follows.
        """
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        browser.addheaders = [("Authorization", _basic(self.login))]
        here = f"http://127.0.0.1:{self.port}"
        with browser.open(f"{here}{self.prefix}{page}", timeout=20) as reply:
            text = reply.read().decode()
        assert f'action="{self.prefix}{action}"' in text, f"{page} has no button for {action}"
        token = re.findall(r'name="_xsrf" value="([^"]+)"', text)[0]
        body = urlencode({"_xsrf": token, "back": f"{self.prefix}{page}", **fields}).encode()
        try:
            with browser.open(f"{here}{self.prefix}{action}", body, timeout=20) as reply:
                return reply.status, _checked(action, reply.read().decode())
        except HTTPError as error:
            return error.code, error.read().decode()

    def stop(self) -> None:
        """Ends it."""
        self.process.terminate()
        self.process.wait(timeout=20)


def _checked(path: str, text: str) -> str:
    """The text. Every page that a test looks at is checked."""
    assert not misprints(text), (path, misprints(text))
    return text


def _basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()

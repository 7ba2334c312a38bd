"""Receivers of messages on loopback: webhooks, a mail server, and ones that do not answer."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Request(NamedTuple):
    """A request that a webhook got."""

    path: str
    headers: dict[str, str]
    body: str


class Webhook:
    """A web server that keeps its requests. It answers with the given statuses in order, then with 200."""

    def __init__(self, *statuses: int) -> None:
        self.requests: list[Request] = []
        self._statuses = list(statuses)
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                webhook.requests.append(Request(self.path, dict(self.headers), body))
                self.send_response(webhook._statuses.pop(0) if webhook._statuses else 200)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                webhook.requests.append(Request(self.path, dict(self.headers), ""))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Prints nothing: the server's own log is not tested."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> "Iterator[Webhook]":
        """Serves until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


@contextmanager
def silent_place(*, drip: bytes = b"") -> Iterator[str]:
    """A place that takes connections and says nothing; ``drip``: says that, again and again, without an end."""
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while not ended.wait(0.2):
                    connection.sendall(drip)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            served.append(threading.Thread(target=serve, args=[connection]))
            served[-1].start()

    served: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            ended.set()
            server.shutdown(socket.SHUT_RDWR)
            for thread in [accepting, *served]:
                thread.join()


def closed_place() -> str:
    """A host and port without a server."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


class Mailed(NamedTuple):
    """A mail that the server accepted."""

    sender: str
    recipients: list[str]
    message: EmailMessage


class MailServer:
    """Takes mail from one user with one password, and refuses some recipients."""

    def __init__(self, *, user: str, password: str, refused: str | None = None) -> None:
        self.mails: list[Mailed] = []
        self._login = LoginPassword(user.encode(), password.encode())
        self._refused = refused

    async def handle_RCPT(  # noqa: N802 -- named by the protocol
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Refuses the one recipient."""
        if address == self._refused:
            return "550 No such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 -- as above
        """Keeps the mail."""
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        self.mails.append(Mailed(envelope.mail_from or "", envelope.rcpt_tos, message))
        return "250 OK"

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serves until the block ends; its place."""
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(loop.create_server(self._protocol, "127.0.0.1", 0))
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(server.wait_closed())
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    def _protocol(self) -> SMTP:
        return SMTP(self, authenticator=self._authenticate, auth_require_tls=False, hostname="mail.test")

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _kind: str, login: Any
    ) -> AuthResult:
        return AuthResult(success=login == self._login, handled=False)

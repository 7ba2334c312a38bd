"""Between programs and PostgreSQL: cuts a connection at the moment of a commit."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Collection
from typing import Self
from urllib.parse import urlsplit

#: A simple query, its length, its text.
_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
_CHUNK = 65_536


class CommitCuttingProxy(socketserver.ThreadingTCPServer):
    """Cuts the connection at the first COMMIT of a transaction that holds each of ``statements``.

    ``arrives``: the server has done the COMMIT, and only its answer is lost; else the server never hears of it.
    To the client both look the same.
    """

    daemon_threads = True

    def __init__(self, database_url: str, statements: Collection[bytes], *, arrives: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self._url = urlsplit(database_url)
        assert self._url.hostname is not None
        assert self._url.port is not None
        self.server = (self._url.hostname, self._url.port)
        self.arrives = arrives
        self._left = set(statements)
        self._turn = threading.Lock()
        self._serving = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._serving.join()
        self.server_close()

    @property
    def database_url(self) -> str:
        """The same database, by way of this proxy."""
        where = f"{self._url.username}:{self._url.password}@127.0.0.1:{self.server_address[1]}"
        return self._url._replace(netloc=where).geturl()

    @property
    def left(self) -> frozenset[bytes]:
        """The statements whose transactions have not been cut."""
        return frozenset(self._left)

    def is_cut(self, transaction: bytes) -> bool:
        """Whether the connection is to be cut now; once for each statement."""
        with self._turn:
            found = {statement for statement in self._left if statement in transaction}
            self._left -= found
            return bool(found)


class _Connection(socketserver.BaseRequestHandler):
    server: CommitCuttingProxy

    def handle(self) -> None:
        client: socket.socket = self.request
        self._deaf = False
        with socket.create_connection(self.server.server) as server:
            answers = threading.Thread(target=self._answers, args=(server, client), daemon=True)
            answers.start()
            self._asks(client, server)
            if not self._deaf:
                _hang_up(server)
            answers.join()

    def _asks(self, client: socket.socket, server: socket.socket) -> None:
        transaction = b""
        with contextlib.suppress(OSError):
            while chunk := client.recv(_CHUNK):
                transaction += chunk
                if _COMMIT in transaction:
                    if self.server.is_cut(transaction):
                        self._deaf = self.server.arrives
                        if self.server.arrives:
                            server.sendall(chunk)
                        return
                    transaction = b""
                server.sendall(chunk)

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (chunk := server.recv(_CHUNK)) and not self._deaf:
                client.sendall(chunk)
        # Also when the answer to a COMMIT has arrived here: it is not passed on.
        _hang_up(client)
        _hang_up(server)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)

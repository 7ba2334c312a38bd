"""In front of an S3 server: answers some requests as a store does on a bad day, and hands on the others."""

import http.client
import threading
import time
from collections import Counter
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

_ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'


class Fault(StrEnum):
    """What a request meets."""

    BUSY = "503"
    #: An error of the store's own.
    BROKEN = "500"
    #: As if the request had been signed with another key.
    UNSIGNED = "signature"
    #: No answer, ever.
    SILENT = "silent"
    #: Half of the object, and then nothing more, ever.
    STUCK = "stuck"
    #: Half of the object, and then the connection is closed.
    CUT_SHORT = "cut short"


class FaultyStore(ThreadingHTTPServer):
    """Forwards requests that have no fault. Signatures stay valid, because the Host header is forwarded unchanged."""

    daemon_threads = True

    def __init__(self, endpoint_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        upstream = urlsplit(endpoint_url)
        assert upstream.hostname is not None
        self.upstream = (upstream.hostname, upstream.port)
        #: The next GET of an object, by its key, meets this once.
        self.once: dict[str, Fault] = {}
        #: Every GET of an object meets this.
        self.always: dict[str, Fault] = {}
        #: For so many seconds from the first GET on, every GET is answered with 503.
        self.busy_seconds = 0.0
        self._first_get_at: float | None = None
        #: How often each fault was met.
        self.met: Counter[Fault] = Counter()
        self.closing = threading.Event()
        self._serving = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self._serving.join()
        self.server_close()

    @property
    def endpoint_url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self, path: str) -> Fault | None:
        """What a GET of this path is to meet now."""
        name = path.rpartition("/")[2]
        now = time.monotonic()
        self._first_get_at = now if self._first_get_at is None else self._first_get_at
        busy = now < self._first_get_at + self.busy_seconds
        fault = Fault.BUSY if busy else self.always.get(name) or self.once.pop(name, None)
        if fault is not None:
            self.met[fault] += 1
        return fault


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyStore

    def do_GET(self) -> None:
        match fault := self.server.fault(self.path):
            case Fault.BUSY:
                self._answer(503, {}, _ERROR.format(code="SlowDown").encode())
            case Fault.BROKEN:
                self._answer(500, {}, _ERROR.format(code="InternalError").encode())
            case Fault.UNSIGNED:
                self._answer(403, {}, _ERROR.format(code="SignatureDoesNotMatch").encode())
            case Fault.SILENT:
                self._never()
            case _:
                status, headers, body = self._upstream()
                if fault is None:
                    self._answer(status, headers, body)
                    return
                self._answer(status, headers, body, sent=len(body) // 2)
                if fault is Fault.STUCK:
                    self._never()
                self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
        """Says nothing."""

    def _upstream(self) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(*self.server.upstream, timeout=30)
        try:
            connection.putrequest("GET", self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, *, sent: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:sent])
        self.wfile.flush()

    def _never(self) -> None:
        self.server.closing.wait()
        self.close_connection = True

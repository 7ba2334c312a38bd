"""A store that misbehaves: a loopback server that cuts, stalls, refuses and recovers."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest
from pydantic import SecretStr

from batchord import Images
from batchord.core.errors import ConfigurationError, DataError, TransientError
from batchord.storage.images import ImageReader
from batchord.storage.objects import Objects
from tests.contracts.small_images import picture

_Answer = Callable[[BaseHTTPRequestHandler], None]


class Store(ThreadingHTTPServer):
    """Answers each GET with the next of ``answers``; the last one is repeated."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[_Answer] = []
        self.asked = 0
        self.released = threading.Event()

    def objects(self, *, attempts: int = 2, read_seconds: float = 0.5) -> Objects:
        """A reader of this store that gives up soon."""
        return Objects(
            endpoint_url=f"http://127.0.0.1:{self.server_port}",
            access_key_id=SecretStr("key"),
            secret_access_key=SecretStr("very-secret"),
            read_seconds=read_seconds,
            attempts=attempts,
        )


class _Handler(BaseHTTPRequestHandler):
    server: Store

    def do_GET(self) -> None:
        answers = self.server.answers
        answer = answers[min(self.server.asked, len(answers) - 1)]
        self.server.asked += 1
        answer(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Tests need no access log."""


@pytest.fixture
def store() -> Iterator[Store]:
    """A server on loopback, stopped with the test."""
    with Store() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


def whole(data: bytes) -> _Answer:
    """A good answer."""
    return body(data, len(data))


def body(data: bytes, promised: int) -> _Answer:
    """``data`` under a header that promises another length; the connection then ends."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(promised))
        handler.end_headers()
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


def refused(status: int, code: str) -> _Answer:
    """An error as S3 writes it."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        xml = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(xml)))
        handler.end_headers()
        handler.wfile.write(xml)

    return answer


def silence(handler: BaseHTTPRequestHandler) -> None:
    """Promises a body and sends half of it."""
    body(b"half", 8)(handler)
    handler.wfile.flush()
    store = handler.server
    assert isinstance(store, Store)
    store.released.wait(30)


def test_a_body_cut_short_is_read_again(store: Store) -> None:
    """One broken connection costs nothing but time."""
    store.answers = [body(b"whole", 9), whole(b"whole one")]

    assert store.objects().get("b", "k", max_bytes=100) == b"whole one"


def test_bodies_that_stay_short_are_a_passing_failure(store: Store) -> None:
    """Half an object is never taken for the object."""
    store.answers = [body(b"whole", 9)]

    with pytest.raises(TransientError, match="s3://b/k"):
        store.objects().get("b", "k", max_bytes=100)
    assert store.asked == 2


def test_a_silent_store_is_given_up(store: Store) -> None:
    """A stalled body ends with the time limit, not with the worker's."""
    store.answers = [silence]

    with pytest.raises(TransientError, match="s3://b/k"):
        store.objects().get("b", "k", max_bytes=100)


def test_a_large_object_is_refused_unread(store: Store) -> None:
    """The header decides: this server would send no more than 4 bytes."""
    store.answers = [silence]

    with pytest.raises(DataError, match="larger than 7 bytes") as caught:
        store.objects(read_seconds=20).get("b", "k", max_bytes=7)
    assert caught.value.reason == "too-large"


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (404, "NoSuchKey", "missing-object"),
        (404, "NoSuchBucket", "missing-object"),
        (403, "AccessDenied", "forbidden-object"),
        (403, "InvalidObjectState", "unreadable-object"),
        (400, "KeyTooLongError", "unreadable-object"),
    ],
)
def test_what_is_wrong_with_one_object_rejects_it(store: Store, status: int, code: str, reason: str) -> None:
    """The record is at fault, not the store."""
    store.answers = [refused(status, code)]

    with pytest.raises(DataError, match=code) as caught:
        store.objects().get("b", "k", max_bytes=100)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch"),
        (400, "ExpiredToken"),
        (403, "RequestTimeTooSkewed"),
        (400, "AuthorizationHeaderMalformed"),
    ],
)
def test_refused_credentials_are_the_operators_to_correct(store: Store, status: int, code: str) -> None:
    """Named with the settings to look at, and without the secret."""
    store.answers = [refused(status, code)]

    with pytest.raises(ConfigurationError, match="BATCHORD_S3_SECRET_ACCESS_KEY") as caught:
        store.objects().get("b", "k", max_bytes=100)
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (500, "InternalError"), (429, "Throttling")])
def test_a_busy_store_is_tried_again(store: Store, status: int, code: str) -> None:
    """First by the client; what lasts longer is a passing failure."""
    store.answers = [refused(status, code), whole(b"ok")]
    assert store.objects().get("b", "k", max_bytes=100) == b"ok"

    store.answers = [refused(status, code)]
    with pytest.raises(TransientError, match=code):
        store.objects().get("b", "k", max_bytes=100)


def test_an_unreachable_store_is_a_passing_failure() -> None:
    """Nobody listens: the shard is tried again later."""
    objects = Objects(
        endpoint_url="http://127.0.0.1:1", access_key_id=SecretStr("k"), secret_access_key=SecretStr("s"), attempts=1
    )

    with pytest.raises(TransientError, match="BATCHORD_S3_ENDPOINT_URL"):
        objects.list("b", "models/")


def test_missing_credentials_are_the_operators_to_correct(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    """Also where boto3 found none in any of its places."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")

    with pytest.raises(ConfigurationError, match="BATCHORD_S3_ACCESS_KEY_ID"):
        Objects(endpoint_url=f"http://127.0.0.1:{store.server_port}").get("b", "k", max_bytes=1)


def test_an_address_that_is_none_is_the_operators_to_correct() -> None:
    """Named with its setting."""
    with pytest.raises(ConfigurationError, match="BATCHORD_S3_ENDPOINT_URL='here'"):
        Objects(endpoint_url="here").get("b", "k", max_bytes=1)


@pytest.mark.parametrize(
    ("answer", "error"),
    [(refused(503, "SlowDown"), TransientError), (refused(403, "InvalidAccessKeyId"), ConfigurationError)],
)
def test_a_failure_for_everybody_rejects_nobody(store: Store, answer: _Answer, error: type[Exception]) -> None:
    """An outage in the middle of a frame ends the call. It must not reject records."""
    store.answers = [whole(picture())] * 3 + [answer]
    locations = pd.Series([f"s3://photos/{row}.jpg" for row in range(200)])

    with pytest.raises(error):
        ImageReader(store.objects(), readers=4).read(locations, Images(column="photo", allow=("s3://photos/",)))
    assert store.asked < 100

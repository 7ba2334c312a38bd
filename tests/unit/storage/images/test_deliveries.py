"""A single missing object is distinguished from a store that delivers nothing. The store answers key by key."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest
from pydantic import SecretStr

from batchord import Images
from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.ports import LoadedImages
from batchord.storage.images import ImageReader
from batchord.storage.objects import Objects
from tests.contracts.small_images import picture

_ERROR = "<Error><Code>{code}</Code><Message>No.</Message></Error>"
_LISTING = (
    "<ListBucketResult><IsTruncated>false</IsTruncated>{items}</ListBucketResult>",
    '<Contents><Key>{key}</Key><Size>{size}</Size><ETag>"e"</ETag></Contents>',
)
_BROKEN, _UNSIGNED, _BUSY = (500, "InternalError"), (403, "SignatureDoesNotMatch"), (503, "SlowDown")


class KeyedStore(ThreadingHTTPServer):
    """A bucket ``photos``: a key in ``faults`` gets that answer, every other key a picture."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys: list[str] = []
        #: What a key is answered with, asked anew for each request; None: as it should.
        self.faults: Callable[[str], tuple[int, str] | None] = lambda _: None
        self.may_list = True
        self.asked: Counter[str] = Counter()
        self.body = picture()

    def reader(self, readers: int = 4) -> ImageReader:
        """A reader that gives up soon."""
        objects = Objects(
            endpoint_url=f"http://127.0.0.1:{self.server_port}",
            access_key_id=SecretStr("key"),
            secret_access_key=SecretStr("secret"),
            read_seconds=0.5,
            attempts=1,
        )
        return ImageReader(objects, readers=readers)

    def holds(self, *keys: str) -> dict[int, str]:
        """Puts these keys there; their locations."""
        self.keys += keys
        return {row: f"s3://photos/{key}" for row, key in enumerate(keys)}


class _Handler(BaseHTTPRequestHandler):
    server: KeyedStore

    def do_GET(self) -> None:
        store = self.server
        key = urlsplit(self.path).path.removeprefix("/photos").removeprefix("/")
        store.asked[key] += 1
        fault = store.faults(key)
        if fault is None and not key and not store.may_list:
            fault = (403, "AccessDenied")
        if fault is not None:
            self._answer(fault[0], _ERROR.format(code=fault[1]).encode())
        elif key:
            self._answer(200, store.body)
        else:
            items = "".join(_LISTING[1].format(key=each, size=len(store.body)) for each in store.keys)
            self._answer(200, _LISTING[0].format(items=items).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's name
        """Tests need no access log."""


@pytest.fixture
def store() -> Iterator[KeyedStore]:
    """A store on loopback, stopped with the test."""
    with KeyedStore() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _read(reader: ImageReader, locations: dict[int, str], *, allow: str = "s3://photos/") -> LoadedImages:
    series = pd.Series(list(locations.values()), index=pd.Index(list(locations), dtype=object), dtype=object)
    return reader.read(series, Images(column="photo", allow=(allow,)))


def _only(*keys: str, fault: tuple[int, str]) -> Callable[[str], tuple[int, str] | None]:
    return lambda key: fault if key in keys else None


@pytest.mark.parametrize("fault", [_BROKEN, _UNSIGNED, _BUSY])
@pytest.mark.parametrize("bad", [0, 7])
def test_one_object_that_never_comes_costs_no_neighbour(store: KeyedStore, fault: tuple[int, str], bad: int) -> None:
    """Whatever the store says of it, and whether it is asked for first or last."""
    locations = store.holds(*(f"{row}.jpg" for row in range(8)))
    store.faults = _only(f"{bad}.jpg", fault=fault)

    found = _read(store.reader(), locations)

    assert sorted(found.images) == [row for row in range(8) if row != bad]
    assert not found.rejections
    (undelivered,) = found.undelivered
    assert (undelivered.key, undelivered.reason) == (bad, "unreadable-object")
    assert f"s3://photos/{bad}.jpg" in undelivered.detail
    assert fault[1] in undelivered.detail
    assert store.asked[f"{bad}.jpg"] == 2, "asked for again, once the store had delivered another"


def test_more_bad_objects_than_readers_are_undelivered_one_by_one(store: KeyedStore) -> None:
    """A row of failures makes the reader look at the store, and then it goes on."""
    locations = store.holds(*(f"{row}.jpg" for row in range(30)))
    store.faults = _only(*(f"{row}.jpg" for row in range(10, 25)), fault=_BROKEN)

    found = _read(store.reader(), locations)

    assert [each.key for each in found.undelivered] == list(range(10, 25))
    assert len(found.images) == 15


@pytest.mark.parametrize("fault", [_BROKEN, _UNSIGNED])
def test_a_store_that_delivers_nothing_is_blamed_itself(store: KeyedStore, fault: tuple[int, str]) -> None:
    """No record is; and it is noticed soon, not after every object of the frame."""
    locations = store.holds(*(f"{row}.jpg" for row in range(200)))
    store.faults = lambda _: fault

    with pytest.raises((TransientError, ConfigurationError), match=fault[1]):
        _read(store.reader(), locations)
    assert store.asked.total() < 30


def test_a_store_that_lists_and_delivers_nothing_is_blamed_itself(store: KeyedStore) -> None:
    """The part of a store that lists names may work while the part that holds the bytes does not."""
    locations = store.holds(*(f"{row}.jpg" for row in range(9)))
    store.faults = lambda key: _BROKEN if key else None

    with pytest.raises(TransientError):
        _read(store.reader(), {0: locations[0]})


def test_a_store_that_goes_away_in_mid_frame_is_blamed_itself(store: KeyedStore) -> None:
    """Its earlier answers do not count any more."""
    locations = store.holds(*(f"{row}.jpg" for row in range(20)))
    store.faults = lambda _: _BUSY if store.asked.total() > 17 else None

    with pytest.raises(TransientError):
        _read(store.reader(), locations)


def test_objects_of_a_moment_in_which_the_store_was_away_come_later(store: KeyedStore) -> None:
    """It may be back when another is asked for: a second failure is needed."""
    locations = store.holds(*(f"{row}.jpg" for row in range(8)))
    store.faults = lambda key: _BUSY if store.asked[key] == 1 and key < "3" else None

    found = _read(store.reader(), locations)

    assert len(found.images) == 8
    assert not found.undelivered


def test_an_object_that_comes_alone_is_compared_with_what_came_before(store: KeyedStore) -> None:
    """Also where nothing may be listed."""
    locations = store.holds("a.jpg", "b.jpg")
    reader = store.reader()
    _read(reader, {0: locations[0]})
    store.may_list = False
    store.faults = _only("b.jpg", fault=_BROKEN)

    found = _read(reader, {1: locations[1]})

    assert [each.key for each in found.undelivered] == [1]


def test_an_object_that_comes_alone_is_compared_with_what_is_stored(store: KeyedStore) -> None:
    """A worker that has delivered nothing yet finds another object by a listing."""
    locations = store.holds("a.jpg", "b.jpg")
    store.faults = _only("a.jpg", fault=_UNSIGNED)

    assert [each.key for each in _read(store.reader(), {0: locations[0]}).undelivered] == [0]


@pytest.mark.parametrize("may_list", [True, False])
def test_an_object_without_any_other_cannot_be_blamed(store: KeyedStore, *, may_list: bool) -> None:
    """Nobody knows then."""
    locations = store.holds("a.jpg")
    store.may_list = may_list
    store.faults = _only("a.jpg", fault=_BROKEN)

    with pytest.raises(TransientError, match=r"a\.jpg"):
        _read(store.reader(), locations)


def test_another_prefix_says_nothing(store: KeyedStore, tmp_path: Path) -> None:
    """A bucket of another region, or a disk that is not mounted, is not vouched for by the one beside it."""
    (tmp_path / "a.jpg").write_bytes(picture())
    locations = {0: f"file://{tmp_path}/a.jpg", 1: store.holds("a.jpg")[0]}
    store.faults = lambda _: _UNSIGNED
    series = pd.Series(list(locations.values()), index=pd.Index([0, 1], dtype=object), dtype=object)

    with pytest.raises(ConfigurationError, match=r"s3://photos/a.jpg.*SignatureDoesNotMatch"):
        store.reader().read(series, Images(column="photo", allow=(f"file://{tmp_path}/", "s3://photos/")))

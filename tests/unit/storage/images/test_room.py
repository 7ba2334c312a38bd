"""Decoding stays within its room, and a batch of pictures within its share."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from batchord import Images
from batchord.core.ports import LoadedImages
from batchord.storage.images import ImageReader
from batchord.storage.images.room import Batch, BatchFull, Room
from batchord.storage.objects import Objects
from tests.contracts.small_images import picture

_SECONDS = 20


def test_no_more_is_taken_at_once_than_there_is() -> None:
    """However many threads want it."""
    room, lock = Room(10, at_once=16), threading.Lock()
    taken, most = 0, 0

    def take(size: int) -> None:
        nonlocal taken, most
        with room.taken(size):
            with lock:
                taken += size
                most = max(most, taken)
            with lock:
                taken -= size

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(take, [4, 3, 5, 6] * 200))
    assert 0 < most <= 10


def test_no_more_decode_at_once_than_there_are_processors() -> None:
    """The others wait with what they have fetched."""
    room, lock = Room(10**9, at_once=2), threading.Lock()
    users, most = 0, 0

    def take(_: int) -> None:
        nonlocal users, most
        with room.taken(1):
            with lock:
                users += 1
                most = max(most, users)
            time.sleep(0)  # lets others in, if they may
            with lock:
                users -= 1

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(take, range(500)))
    assert 0 < most <= 2


def test_what_needs_more_has_it_to_itself() -> None:
    """It waits for the others, and they for it."""
    room, inside, leave = Room(10), threading.Event(), threading.Event()
    order: list[str] = []

    def large() -> None:
        with room.taken(25):
            order.append("large")
            inside.set()
            assert leave.wait(_SECONDS)

    def small() -> None:
        with room.taken(1):
            order.append("small")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(large)
        assert inside.wait(_SECONDS)
        second = pool.submit(small)
        leave.set()
        first.result(_SECONDS)
        second.result(_SECONDS)
    assert order == ["large", "small"]


def test_what_fails_gives_its_room_back() -> None:
    """Otherwise the process would block after some bad pictures."""
    room = Room(10)
    for _ in range(3):
        with pytest.raises(ValueError, match="corrupt"), room.taken(10):
            raise ValueError("corrupt")
    with room.taken(10):
        pass


def test_a_batch_takes_pictures_up_to_its_share() -> None:
    """The first one whatever it takes."""
    batch = Batch(100)
    batch.admit(500)
    assert not batch.full.is_set()
    with pytest.raises(BatchFull):
        batch.admit(1)
    assert batch.full.is_set()


def _read(reader: ImageReader, folder: Path, names: list[str]) -> LoadedImages:
    locations = pd.Series([f"file://{folder}/{name}" for name in names], index=pd.Index(names, dtype=object))
    return reader.read(locations, Images(column="photo", allow=(f"file://{folder}/",)))


def test_pictures_that_find_no_place_are_left_for_the_next_call(tmp_path: Path) -> None:
    """Each is read in one of them; what is wrong with one takes no place."""
    names = [f"{number}.png" for number in range(20)]
    for name in names:
        (tmp_path / name).write_bytes(picture("PNG", size=(200, 200)))
    (tmp_path / names[7]).write_bytes(b"no picture")
    reader = ImageReader(Objects(), readers=4, memory=8 * 5 * 200 * 200 * 4)
    left, sizes, rejected = names, [], []
    while left:
        found = _read(reader, tmp_path, left)
        assert {*found.images, *found.unread, *(each.key for each in found.rejections)} == set(left)
        sizes.append(len(found.images))
        rejected += [each.key for each in found.rejections]
        assert len(found.unread) < len(left)
        left = list(found.unread)
    assert rejected == [names[7]]
    assert (sum(sizes), max(sizes)) == (19, 5)


def test_a_picture_that_is_larger_than_its_share_is_read_alone(tmp_path: Path) -> None:
    """It must not wait for ever."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(picture("PNG", size=(300, 300)))
    reader = ImageReader(Objects(), readers=4, memory=1000)
    found = _read(reader, tmp_path, ["a.png", "b.png"])
    assert len(found.images) == len(found.unread) == 1

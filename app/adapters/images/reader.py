"""Reads and decodes the images of a frame with several threads."""

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from PIL import Image

from app.adapters.images.decoding import decode, prepare
from app.adapters.images.locations import Allowed
from app.adapters.images.room import Batch, BatchFull, Room
from app.adapters.objects import Objects
from app.core.errors import DataError
from app.core.models import Images
from app.core.ports import LoadedImages
from app.core.records import Rejection

if TYPE_CHECKING:
    import pandas as pd

#: So many times the side that a model wants is left, for its own scaling to start from: of 120 pictures none changed
#: its class; with 1.5 times one did, with none three.
_MARGIN = 2
#: The pictures that a model is given at once have this part of the memory: while it has them, the next ones are read.
_BATCHES = 8

_Outcome = tuple[Image.Image, int] | Rejection


class ImageReader:
    """Implements :class:`app.core.ports.ImageStore` for ``s3://`` and ``file:///`` locations.

    ``readers`` threads fetch and decode: both wait or work outside of Python's lock. Give ``objects`` as
    many connections. Threads live for one call only, so a reader made before a fork works after it.

    ``memory`` bytes are meant for pictures: for what is being decoded, and a part of it for those of one call.
    """

    def __init__(self, objects: Objects, *, readers: int = 16, memory: int = 256 * 2**20) -> None:
        self._objects = objects
        self._readers = readers
        self._room = Room(memory)
        self._batch_bytes = memory // _BATCHES

    def read(self, locations: "pd.Series[Any]", accept: Images, *, side: int | None = None) -> LoadedImages:
        """See :meth:`app.core.ports.ImageStore.read`. A failure for everybody ends the call at once."""
        prepare(accept)
        allowed = Allowed(accept.allow)
        stop = threading.Event()
        least_side = side * _MARGIN if side is not None and accept.reduce else None
        batch = Batch(self._batch_bytes)

        def load(location: Any) -> tuple[Image.Image, int]:
            if batch.full.is_set():
                raise BatchFull
            data = allowed.fetch(_text(location), self._objects, max_bytes=accept.max_bytes)
            return decode(data, accept, room=self._room, batch=batch, least_side=least_side), digest(data)

        pool = ThreadPoolExecutor(max(1, min(self._readers, len(locations))), thread_name_prefix="image")
        try:
            reads = [(key, pool.submit(_outcome, key, location, load, stop)) for key, location in locations.items()]
            wait([future for _, future in reads], return_when=FIRST_EXCEPTION)
            failed = next((future for _, future in reads if future.done() and future.exception()), None)
            if failed is not None:
                failed.result()
            return _together({key: future.result() for key, future in reads})
        finally:
            # Reads under way end by their own time limits; nobody waits for them.
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _outcome(
    key: Any, location: Any, load: Callable[[Any], tuple[Image.Image, int]], stop: threading.Event
) -> _Outcome | None:
    if stop.is_set():
        return None
    try:
        return load(location)
    except BatchFull:
        return None
    except DataError as error:
        return Rejection(key=key, reason=error.reason, detail=_named(error, location))


def digest(data: bytes) -> int:
    """64 bits of BLAKE2b as a signed integer, which fits PostgreSQL's bigint."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big", signed=True)


def _named(error: DataError, location: Any) -> str:
    """The error with the location, where its message does not name it already."""
    said, where = str(error), str(location)[:200]
    return said if where in said else f"{said} (location {where!r})"


def _text(location: Any) -> str:
    import pandas as pd

    if isinstance(location, str):
        if location.strip():
            return location
    elif not (pd.api.types.is_scalar(location) and pd.isna(location)):
        raise DataError("location-not-allowed", f"The location is a {type(location).__name__}, not a text.")
    raise DataError("missing-location", "The record has no location: fill in its column.")


def _together(outcomes: dict[Any, _Outcome | None]) -> LoadedImages:
    decoded = {key: outcome for key, outcome in outcomes.items() if isinstance(outcome, tuple)}
    return LoadedImages(
        images={key: image for key, (image, _) in decoded.items()},
        digests={key: digest for key, (_, digest) in decoded.items()},
        rejections=[outcome for outcome in outcomes.values() if isinstance(outcome, Rejection)],
        unread=tuple(key for key, outcome in outcomes.items() if outcome is None),
    )

"""Reads and decodes the images of a frame with several threads."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from batchord.core.declared.models import Images
from batchord.core.errors import DataError
from batchord.core.ports import LoadedImages
from batchord.core.process.extras import Extra, require
from batchord.core.reasons import Reason
from batchord.core.run.records import Rejection
from batchord.storage.images.deliveries import Deliveries, NotDelivered, Witnesses
from batchord.storage.images.locations import Allowed
from batchord.storage.images.room import Batch, BatchFull, Room
from batchord.storage.objects import Objects

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

#: A picture is reduced to this many times the side that the model needs, and the model scales the rest. With 2, none of
#: 120 pictures changed its class; with 1.5 one did, with 1 three did.
_MARGIN = 2
#: The pictures that a model gets together take up to this fraction (1/8) of the memory, since the next pictures are
#: read while the model has these.
_BATCHES = 8
#: How often an object must fail before it is blamed, each time followed by another object that is delivered: a store
#: may be away for a moment.
_MOST_MISSES = 2

_Loaded = tuple["Image.Image", int]
_Outcome = _Loaded | Rejection | NotDelivered


class ImageReader:
    """Implements :class:`batchord.core.ports.ImageStore` for ``s3://`` and ``file:///`` locations.

    ``readers`` threads fetch and decode: both wait or work without holding Python's lock. Give ``objects`` as many
    connections. Threads live only during a call, so a reader that was created before a fork works after it.

    ``memory`` is the number of bytes for pictures that are being decoded; the pictures of one call get a part of it.
    """

    def __init__(self, objects: Objects, *, readers: int = 16, memory: int = 256 * 2**20) -> None:
        self._objects = objects
        self._readers = readers
        self._room = Room(memory)
        self._batch_bytes = memory // _BATCHES
        self._witnesses = Witnesses()

    def read(self, locations: "pd.Series[Any]", accept: Images, *, side: int | None = None) -> LoadedImages:
        """See :meth:`batchord.core.ports.ImageStore.read`. If the store itself fails, the call soon ends."""
        require(Extra.IMAGES, for_what="Images")
        # Imported here: only pipelines with images need Pillow.
        from batchord.storage.images.decoding import decode, prepare

        prepare(accept)
        least_side = side * _MARGIN if side is not None and accept.reduce else None
        deliveries = Deliveries(
            Allowed(accept.allow), self._objects, self._witnesses, max_bytes=accept.max_bytes, patience=self._readers
        )
        batch = Batch(self._batch_bytes)

        def load(location: Any) -> _Loaded:
            if batch.full.is_set():
                raise BatchFull
            data = deliveries.fetch(_text(location))
            return decode(data, accept, room=self._room, batch=batch, least_side=least_side), digest(data)

        return _together(locations.index, self._outcomes(dict(locations.items()), load, deliveries, batch))

    def _outcomes(
        self, locations: Mapping[Any, Any], load: Callable[[Any], _Loaded], deliveries: Deliveries, batch: Batch
    ) -> dict[Any, _Outcome]:
        """Reads in passes. The next pass requests undelivered objects again, after the store delivered something else.

        If the batch is full, there is no further pass. Then objects that failed only once count as not read.
        """
        outcomes: dict[Any, _Outcome] = {}
        misses: Counter[Any] = Counter()
        stop = threading.Event()
        pool = ThreadPoolExecutor(max(1, min(self._readers, len(locations))), thread_name_prefix="image")
        try:
            while waiting := [key for key in locations if key not in outcomes or 0 < misses[key] < _MOST_MISSES]:
                reads = {key: pool.submit(_outcome, key, locations[key], load, deliveries, stop) for key in waiting}
                passed = _results(reads)
                missed = {key: outcome for key, outcome in passed.items() if isinstance(outcome, NotDelivered)}
                deliveries.confirm(list(missed.values()))
                misses = Counter({key: misses[key] + 1 for key in missed})
                outcomes |= passed
                if batch.full.is_set():
                    return {key: outcome for key, outcome in outcomes.items() if misses[key] in (0, _MOST_MISSES)}
        finally:
            # Running reads end by their own time limits. The call does not wait for them.
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
        return outcomes


def _results(reads: "Mapping[Any, Future[_Outcome | None]]") -> dict[Any, _Outcome]:
    """The outcomes of the reads that were made. Raises at once an error for which no single record is to blame."""
    ended, _ = wait(reads.values(), return_when=FIRST_EXCEPTION)
    for future in ended:
        future.result()
    return {key: outcome for key, future in reads.items() if (outcome := future.result()) is not None}


def _outcome(
    key: Any, location: Any, load: Callable[[Any], _Loaded], deliveries: Deliveries, stop: threading.Event
) -> _Outcome | None:
    """The outcome of one record; None if its object was not requested."""
    if stop.is_set() or deliveries.doubtful:
        return None
    try:
        return load(location)
    except BatchFull:
        return None
    except DataError as error:
        return Rejection(key=key, reason=error.reason, detail=_detail(error, location))
    except NotDelivered as error:
        return error


def digest(data: bytes) -> int:
    """64 bits of BLAKE2b as a signed integer, which fits into PostgreSQL's bigint."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big", signed=True)


def _detail(error: DataError, location: Any) -> str:
    """The error's message with the location, unless the message names it already."""
    message, where = str(error), str(location)[:200]
    return message if where in message else f"{message} (location {where!r})"


def _text(location: Any) -> str:
    import pandas as pd

    if isinstance(location, str):
        if location.strip():
            return location
    elif not (pd.api.types.is_scalar(location) and pd.isna(location)):
        raise DataError(Reason.LOCATION_NOT_ALLOWED, f"The location is a {type(location).__name__}, not a text.")
    raise DataError(Reason.MISSING_LOCATION, "The record has no location: fill in its location column.")


def _together(keys: Iterable[Any], outcomes: Mapping[Any, _Outcome]) -> LoadedImages:
    read = [(key, outcomes[key]) for key in keys if key in outcomes]
    decoded = {key: outcome for key, outcome in read if isinstance(outcome, tuple)}
    return LoadedImages(
        images={key: image for key, (image, _) in decoded.items()},
        digests={key: digest for key, (_, digest) in decoded.items()},
        rejections=[outcome for _, outcome in read if isinstance(outcome, Rejection)],
        unread=tuple(key for key in keys if key not in outcomes),
        undelivered=tuple(
            Rejection(key=key, reason=Reason.UNREADABLE_OBJECT, detail=str(outcome))
            for key, outcome in read
            if isinstance(outcome, NotDelivered)
        ),
    )

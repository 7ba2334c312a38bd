"""Frames and a model in memory for tests of the flow."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from batchord import Images
from batchord.core.ports import LoadedImages
from batchord.core.reasons import Reason
from batchord.core.run.records import Rejection, Scalar
from batchord.flow.predict.prepare import Prepared

if TYPE_CHECKING:
    from batchord.core.ports import ImageStore


def frame_of(keys: Sequence[Any], **columns: Sequence[Any]) -> pd.DataFrame:
    """Records with object columns, indexed by key as a source gives them."""
    index = pd.Index(list(keys), dtype=object, name="id")
    return pd.DataFrame({name: pd.Series(list(values), index=index, dtype=object) for name, values in columns.items()})


def prepared_of(texts: Sequence[Any]) -> Prepared:
    """Records whose key is their place in the list and whose digest is a hundred times the key."""
    places = list(range(len(texts)))
    return Prepared(frame=frame_of(places, body=texts), digests=[100 * place for place in places])


class FunctionOfFrames:
    """Implements :class:`.LoadedModel`; remembers how many records each call was given."""

    version = "test-1"
    runs_on = "cpu"
    picture_side = None
    costly_characters = None
    reads = None

    def __init__(self, function: Callable[[pd.DataFrame], Any]) -> None:
        self._function = function
        self.calls: list[int] = []

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """See the port."""
        self.calls.append(len(frame))
        return cast("pd.DataFrame", self._function(frame))


class ImagesInMemory:
    """Implements :class:`batchord.core.ports.ImageStore`: an image is its location in capitals."""

    def __init__(self, missing: Sequence[str] = ()) -> None:
        self._missing = missing

    def read(self, locations: "pd.Series[Any]", accept: Images, *, side: int | None = None) -> LoadedImages:  # noqa: ARG002
        """See the port."""
        found = LoadedImages(images={}, digests={}, rejections=[])
        for key, location in locations.items():
            name = cast("Scalar", key)
            if location in self._missing:
                detail = f"{accept.column} {location} is not there"
                found.rejections.append(Rejection(key=name, reason=Reason.MISSING_OBJECT, detail=detail))
            else:
                found.images[name] = [location.upper()]
                found.digests[name] = len(location)
        return found


def no_images() -> "ImageStore":
    """A store for models that read none."""
    return ImagesInMemory()

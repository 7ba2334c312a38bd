"""What the flow needs from the outside world, as narrow protocols with their obligations.

Only Python's own types and pandas frames cross these borders. An adapter translates its vendor's
exceptions into those of :mod:`batchord.core.errors` before they leave it.

A source's port stands beside its declaration, :mod:`batchord.core.declared.source_reader`, and so does a loaded
model's: a declaration says what it becomes.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.declared.models import Images, Model
from batchord.core.run.records import Rejection, Scalar

if TYPE_CHECKING:
    import pandas as pd


class NotAtHand(NamedTuple):
    """A model that cannot be loaded at once on this machine."""

    #: The reason, as a part of a sentence.
    why: str


class Models(Protocol):
    """Turns declarations into loaded models."""

    def version(self, declared: Model) -> str:
        """The version that ``load`` would give now, without importing an ML library.

        Raises ModelNotFound when the files are missing, TransientError when their store does not answer.
        """

    def load(self, declared: Model, version: str) -> LoadedModel:
        """The model, loaded at most once per process and version; safe to call from several threads.

        Raises ModelNotFound when what is stored now is not ``version``.
        """

    def load_at_hand(self, declared: Model, version: str) -> "LoadedModel | NotAtHand":
        """As ``load``, if that is quick, needs no download, and its libraries are installed here; else why not."""


class LoadedImages(NamedTuple):
    """The outcome of reading one frame's images."""

    #: PIL images in RGB by key, EXIF orientation applied.
    images: dict[Scalar, Any]
    #: A 64-bit digest of the stored bytes by key.
    digests: dict[Scalar, int]
    rejections: list[Rejection]
    #: Keys of images that are left for another call: those read have all the memory that is meant for one.
    unread: tuple[Scalar, ...] = ()
    #: Records whose objects alone were not delivered, twice, while the store delivered others: how they would be
    #: rejected. Whoever reads them asks again later, and gives up in the end.
    undelivered: Sequence[Rejection] = ()


class ImageStore(Protocol):
    """Reads and decodes images from where they are stored."""

    def read(self, locations: "pd.Series[Any]", accept: Images, *, side: int | None = None) -> LoadedImages:
        """Every image of ``locations`` (indexed by key) is decoded, rejected, undelivered, or left unread.

        At least one is not left.

        ``side``: pixels that the model scales a shorter side to. A much larger picture is given at a fraction of its
        size, with shorter sides of at least twice that, unless ``accept`` says otherwise. None: as they are.

        Reads and decodes concurrently. Rejects a record for what is wrong with its location or its bytes:
        outside the allowed prefixes, missing, too large, not an accepted format, corrupt, or forbidden.
        Raises TransientError when the store delivers nothing, such as at a time-out or a 503 that outlasts
        the client's own retries, and ConfigurationError when the credentials are refused. Where it delivers others
        of the same prefix at the same time, the record is undelivered.
        """


class Attachment(NamedTuple):
    """A text file that goes with a message."""

    name: str
    #: Its media type, such as ``text/html``.
    kind: str
    text: str


class Notifier(Protocol):
    """Sends messages to people."""

    def problems(self, address: str) -> str | None:
        """What is wrong with the address, without its secrets; None when it can be used. Sends nothing."""

    def send(self, address: str, *, title: str, body: str, failure: bool, attachment: Attachment | None = None) -> None:
        """Sends a message; returns when the receiver has taken it. ``failure``: else it is good news.

        ``attachment``: left out for a receiver whose kind takes no files.

        Raises TransientError when the receiver does not take it, ConfigurationError for an address that nobody
        can use. Neither error, nor any log line, holds the address's secrets.
        """


class Switchboard(Protocol):
    """Where beat, which does not know the ledger, sees what was switched at run time."""

    def show(self, switched: Mapping[str, Mapping[str, Any]]) -> None:
        """Replaces what is shown: for each pipeline that differs from its file, how.

        Raises TransientError; ConfigurationError where no later attempt will go better.
        """

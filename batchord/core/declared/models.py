"""Declarations of models: where a model is and which columns it reads.

A declaration imports no ML library, so that the catalog, beat and the command line stay light. A worker loads the
model when it first needs it.

Frame in, frame out: a loaded model's ``predict`` takes a pandas DataFrame indexed by record key and returns a
DataFrame with the same index in the same order. The columns ``label`` (text) and ``score`` (a number) are stored as
such. Every other column goes into the prediction's JSON output.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from batchord.core.code.places import place_of_text
from batchord.core.declared.checks import is_whole, kind_of, shown
from batchord.core.declared.declaration import Declaration
from batchord.core.errors import BatchordError, ConfigurationError, ModelNotFound
from batchord.core.process.extras import Extra
from batchord.core.text.calls import NamesOptions
from batchord.core.text.names import as_names

if TYPE_CHECKING:
    import pandas as pd

    from batchord.core.declared.loaded_model import LoadedModel

#: A plain function as a model: it gets records, indexed by their keys, and returns one row for each.
ModelFunction = Callable[["pd.DataFrame"], "pd.DataFrame | pd.Series[Any]"]

#: What happens to a record whose text is empty or only white space. A missing (NULL) text is always rejected.
EmptyText = Literal["reject", "predict"]
#: The most pictures in one call of a model, unless the step says otherwise.
PICTURE_ROWS = 64

#: Key of a field's metadata: the name under which the field's value is part of the model's version. None: the value is
#: not part of the version, since no prediction depends on it. A field without this key is part of the version under
#: its own name, unless it has its default value.
IN_VERSION = "in-version"

#: Endings of files with pickled weights. An error names these files if a model has no other weights.
_PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib"})
#: Metadata of a field that is not part of the version.
NOT_IN_VERSION = {IN_VERSION: None}


@dataclass(frozen=True, kw_only=True)
class Images(NamesOptions):
    """Which column holds the locations of images, and which images are accepted.

    Args:
        column: The column with the locations of the images.
        allow: Prefixes that a location must start with, such as ``s3://photos/`` or ``file:///data/photos/``.
        max_bytes: Bytes of the stored object. A larger one is rejected before it is read.
        max_pixels: Width x height before any scaling. A larger picture is rejected before it is decoded.
        max_seconds: Seconds of processor time that decoding one picture may take.
        formats: The formats that are accepted, by their bytes and not by the name of a file.
        reduce: Whether a picture more than twice as large as the model's input may be read at a fraction of its
            size. That is several times as fast and takes a fraction of the memory. Scores change in their last
            digits.
    """

    column: str = field(metadata={IN_VERSION: "images"})
    allow: Sequence[str] = field(metadata=NOT_IN_VERSION)
    max_bytes: int = field(default=50_000_000, metadata=NOT_IN_VERSION)
    max_pixels: int = field(default=50_000_000, metadata=NOT_IN_VERSION)
    max_seconds: float = field(default=10.0, metadata=NOT_IN_VERSION)
    formats: Sequence[str] = field(default=("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"), metadata=NOT_IN_VERSION)
    reduce: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "allow", as_names(self.allow))
        object.__setattr__(self, "formats", tuple(map(_upper, as_names(self.formats))))

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each."""
        if not isinstance(self.column, str) or not self.column:
            return [f"images have column={shown(self.column)}: give the name of the column with the locations"]
        for option in ("max_bytes", "max_pixels"):
            if not is_whole(getattr(self, option), least=1):
                return [f"images have {option}={shown(getattr(self, option))}: give a whole number from 1"]
        if isinstance(self.max_seconds, bool) or not isinstance(self.max_seconds, int | float) or self.max_seconds <= 0:
            return [f"images have max_seconds={self.max_seconds!r}: give a number above zero"]
        if not self.allow:
            return ["images allow no location: give allow=['s3://bucket/prefix/'], since locations come from data"]
        return [
            f"images allow {prefix!r}: give an s3:// or an absolute file:/// prefix that ends with '/'"
            for prefix in self.allow
            if not isinstance(prefix, str) or not re.fullmatch(r"s3://[^/]+/(.*/)?|file:///(.*/)?", prefix)
        ]


@dataclass(frozen=True, kw_only=True)
class Model(Declaration):
    """What all declarations share.

    Args:
        text: Column with the text, for a model that reads one.
        empty: What happens to a record whose text is empty or only white space: ``reject``, or ``predict``. A
            missing text is always rejected.
        images: Which images are read and accepted, for a model that reads images.
    """

    #: The queue whose workers run this model: ``text``, ``image`` or ``table``.
    queue: ClassVar[str] = "table"
    #: Records in one call of ``predict``, unless the step says otherwise.
    batch_rows: ClassVar[int] = 5000
    #: Records in a full shard, unless the step says otherwise.
    shard_rows: ClassVar[int] = 20_000
    #: Records in the smallest shard that is worth a task of its own.
    min_shard_rows: ClassVar[int] = 1000
    #: The extra that installs the libraries of this kind; None: it needs none.
    extra: ClassVar[Extra | None] = None
    #: Whether loading it takes seconds and little memory, so that `batchord plan` may do it.
    loads_quickly: ClassVar[bool] = False

    text: str | None = None
    empty: EmptyText = field(default="reject", metadata=NOT_IN_VERSION)
    images: Images | None = None

    @property
    def extras(self) -> tuple[Extra, ...]:
        """The extras without whose libraries it cannot be loaded."""
        images = None if self.images is None else Extra.IMAGES
        return tuple(extra for extra in (self.extra, images) if extra is not None)

    @property
    def unneeded(self) -> frozenset[str]:
        """Modules of its extras that this declaration does without."""
        return frozenset()

    @property
    def usual_batch_rows(self) -> int:
        """Records in one call of ``predict``: few if they have pictures, which may be large."""
        return self.batch_rows if self.images is None else min(self.batch_rows, PICTURE_ROWS)

    @property
    def reads(self) -> tuple[str, ...] | None:
        """The columns that are fetched for the model; None: all."""
        return None

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns that it cannot do without, as far as the declaration says."""
        images = None if self.images is None else self.images.column
        return tuple(dict.fromkeys(name for name in (*(self.reads or ()), self.text, images) if name))

    @property
    def traits(self) -> dict[str, str]:
        """All values of the declaration, as texts that are the same in every process."""
        values = {option.name: getattr(self, option.name) for option in fields(self) if option.compare}
        # Sorted: the author may have written names as a set, whose order differs from process to process.
        texts = {
            name: repr(sorted(map(repr, value)) if isinstance(value, tuple) else value)
            for name, value in values.items()
        }
        own = {} if self.kind_digest is None else {"kind_digest": self.kind_digest}
        return {"kind": type(self).__name__, **texts, **own}

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each; empty if there are none."""
        problems = [] if self.images is None else self._problems_of_images(self.images)
        if self.text is not None and (not isinstance(self.text, str) or not self.text):
            problems.append(f"text={shown(self.text)}: give the name of a column, such as text='body'")
        if self.empty not in ("reject", "predict"):
            problems.append(f"empty={self.empty!r} is unknown: use 'reject' or 'predict'")
        return problems

    def _problems_of_images(self, images: object) -> list[str]:
        if isinstance(images, Images):
            return images.problems()
        column = images if isinstance(images, str) else "photo"
        return [f"images={shown(images)}: give images=Images(column={column!r}, allow=['s3://bucket/prefix/'])"]

    @property
    def takes_arrival(self) -> bool:
        """Whether the frame may hold the arrival column. An estimator that reads all columns must not see it."""
        return True

    def problems_of_files(self) -> list[str]:
        """The problems that its files on this machine show to `batchord check`, which loads nothing."""
        return []

    def own_version(self) -> str:
        """The version ``name@…`` of a model without files. The same version means the same predictions.

        A model with files has their digest as its version, see :class:`StoredModel`. Raises ConfigurationError if the
        version cannot be determined.
        """
        raise NotImplementedError(f"{type(self).__name__} has no own_version()")

    def load(self, files: Path | None, version: str, *, threads: int, copied: bool) -> "LoadedModel":
        """Loads the model into memory. It imports heavy libraries here, in the worker that needs them.

        Args:
            files: The folder, or the file, with the model's parts and nothing else; None for a model without files.
            version: The version that the predictions are stored with.
            threads: How many threads the model may use in this process.
            copied: Whether the files may be replaced while the model is in memory. Then it must not map them.

        Raises ConfigurationError or ModelNotFound if the model cannot be used.
        """
        raise NotImplementedError(f"{type(self).__name__} has no load()")


@dataclass(frozen=True)
class StoredModel(Model):
    """A model whose weights are files: in a folder, below an ``s3://`` prefix or, for some kinds, on a hub.

    Args:
        location: Where the model is: a path, or ``s3://bucket/prefix``.
        text: Column with the text, for a model that reads one.
        empty: What happens to a record whose text is empty or only white space: ``reject``, or ``predict``. A
            missing text is always rejected.
        images: Which images are read and accepted, for a model that reads images.
    """

    #: Endings of the files that make up a model of this kind. Pickles and code are never among them.
    suffixes: ClassVar[frozenset[str]] = frozenset()
    #: Whether a location may be the id of a model on the Hugging Face hub, with the commit in ``revision``.
    on_hub: ClassVar[bool] = False

    location: str = field(metadata=NOT_IN_VERSION)

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each; empty if there are none."""
        if isinstance(self.location, str) and self.location:
            return super().problems()
        advice = "write str(…) around it" if isinstance(self.location, PurePath) else "give a path or an s3:// prefix"
        return [f"the model's location is {kind_of(self.location)}, and not a text: {advice}", *super().problems()]

    def is_part(self, name: str) -> bool:
        """Whether the file ``name`` (below the model's folder) is a part of the model. Hidden files never are."""
        path = PurePosixPath(name)
        return path.suffix in self.suffixes and not any(part.startswith(".") for part in path.parts)

    @property
    def written_at(self) -> str | None:
        """See the base class: where its author writes its location."""
        return place_of_text(self.location, self.declared_in, self.code)

    def check_files(self, names: Sequence[str]) -> None:
        """Checks the names of all stored files before anything is read or downloaded.

        Raises ModelNotFound if the weights are missing, ConfigurationError if they cannot be used.
        """
        if not any(map(self.is_part, names)):
            raise self.lacks(" or ".join(f"a {suffix} file" for suffix in sorted(self.suffixes)), names)

    @property
    def runs_code(self) -> bool:
        """Whether its files bring code that runs when they are loaded. Then only what predicts loads them."""
        return False

    def check_contents(self, digests: Mapping[str, str]) -> None:
        """Checks the SHA-256 of local parts, by name, before they are loaded. Raises ConfigurationError."""

    def lacks(self, needed: str, names: Sequence[str]) -> BatchordError:
        """The error for files among which ``needed`` is missing. It has advice of its own for pickled weights."""
        pickled = sorted(name for name in names if PurePosixPath(name).suffix in _PICKLES)
        if pickled:
            return ConfigurationError(
                f"{self.location} holds only pickled weights ({', '.join(pickled[:5])}), and unpickling runs any code "
                f"in them. Batchord needs {needed}. If you trust the model, load it once and save it again."
            )
        return ModelNotFound(
            f"{self.location} holds no model: it needs {needed}, but has {sorted(names)[:10] or 'no file'}."
        )


M = TypeVar("M", bound=Model)

_KIND_OF_FUNCTIONS: list[Callable[[Any], Model]] = []


def takes_functions(kind: type[M]) -> type[M]:
    """A decorator for the kind of model that stands for a plain function."""
    _KIND_OF_FUNCTIONS[:] = [kind]
    return kind


def as_model(model: Any) -> Any:
    """The declaration for a plain function; any other value as it is."""
    return _KIND_OF_FUNCTIONS[0](model) if not isinstance(model, Model) and callable(model) else model


def _upper(name: Any) -> Any:
    return name.upper() if isinstance(name, str) else name

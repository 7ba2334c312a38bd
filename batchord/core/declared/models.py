"""What an author says about a model: where it is and which columns it reads.

These are declarations. They import no ML library, so that the catalog, beat and the command line stay
light; a worker turns a declaration into a loaded model the first time it needs it.

Frame in, frame out: a loaded model's ``predict`` takes a pandas DataFrame indexed by record key and
returns a DataFrame with the same index in the same order. Column ``label`` (text) and column ``score``
(a number) are stored as such, every other column goes into the prediction's JSON output.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar, Literal

from batchord.core.code import Code, imported_code
from batchord.core.text.names import as_names

#: What happens to a text that is empty or only white space. A missing (NULL) text is always rejected.
EmptyText = Literal["reject", "predict"]
#: ``classify`` gives a label and a score, ``embed`` gives a vector in column ``embedding``.
Task = Literal["classify", "embed"]
#: What a network computes in.
Dtype = Literal["float32", "bfloat16"]

#: What ``proba=`` is for the probabilities of all classes; any other text names a class.
ALL_CLASSES = "all"

#: Pictures in one call of a model.
PICTURE_ROWS = 64

#: Key of a field's metadata: by what name its value is part of the model's version; None: not at all, since no
#: prediction depends on it. Without it a field is part of the version by its own name, unless it has its default.
IN_VERSION = "in-version"

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_NOT_IN_VERSION = {IN_VERSION: None}


@dataclass(frozen=True, kw_only=True)
class Images:
    """Which column holds the locations of images, and which images are accepted."""

    column: str = field(metadata={IN_VERSION: "images"})
    #: Prefixes that a location must start with, such as ``s3://photos/`` or ``file:///data/photos/``.
    allow: Sequence[str] = field(metadata=_NOT_IN_VERSION)
    #: Bytes of the stored object; a larger one is rejected unread.
    max_bytes: int = field(default=50_000_000, metadata=_NOT_IN_VERSION)
    #: Width x height before any scaling; a larger one is rejected undecoded.
    max_pixels: int = field(default=50_000_000, metadata=_NOT_IN_VERSION)
    #: Seconds of the processor that decoding one picture may take.
    max_seconds: float = field(default=10.0, metadata=_NOT_IN_VERSION)
    formats: Sequence[str] = field(default=("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"), metadata=_NOT_IN_VERSION)
    #: Whether a picture more than twice as large as the model's input may be read at a fraction of its size, which
    #: is several times as fast and takes a fraction of the memory; scores change in their last digits.
    reduce: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "allow", as_names(self.allow))
        object.__setattr__(self, "formats", tuple(map(_upper, as_names(self.formats))))

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
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
class Model:
    """What all declarations share."""

    #: The queue whose workers run this model: ``text``, ``image`` or ``table``.
    queue: ClassVar[str] = "table"
    #: Records in one call of ``predict``, unless the step says otherwise.
    batch_rows: ClassVar[int] = 5000
    #: Records in a full shard, unless the step says otherwise.
    shard_rows: ClassVar[int] = 20_000
    #: A smaller shard is not worth a task of its own.
    min_shard_rows: ClassVar[int] = 1000

    #: Column with the text, for a model that reads one.
    text: str | None = None
    empty: EmptyText = field(default="reject", metadata=_NOT_IN_VERSION)
    #: Which images are read and accepted, for a model that reads images.
    images: Images | None = None

    @property
    def usual_batch_rows(self) -> int:
        """Records in one call of ``predict``: few where each has a picture, which may be large."""
        return self.batch_rows if self.images is None else min(self.batch_rows, PICTURE_ROWS)

    @property
    def reads(self) -> tuple[str, ...] | None:
        """The columns that are fetched for it; None: all."""
        return None

    @property
    def traits(self) -> dict[str, str]:
        """All that the declaration says, as texts that are the same in every process."""
        said = {each.name: getattr(self, each.name) for each in fields(self) if each.compare}
        # Sorted: names may have been given as a set, whose order differs from process to process.
        found = {
            name: repr(sorted(map(repr, value)) if isinstance(value, tuple) else value) for name, value in said.items()
        }
        return {"kind": type(self).__name__, **found}

    def problems(self) -> list[str]:
        """What is wrong with the declaration, one sentence each; empty when all is well."""
        found = [] if self.images is None else self.images.problems()
        if self.empty not in ("reject", "predict"):
            found.append(f"empty={self.empty!r} is unknown: use 'reject' or 'predict'")
        return found


@dataclass(frozen=True)
class FunctionModel(Model):
    """A plain function ``frame -> Series or DataFrame``. A numeric Series is the score, any other the label.

    With ``images=`` the function finds PIL images (RGB) in the location's column.
    """

    function: Callable[[Any], Any] = field(metadata=_NOT_IN_VERSION)
    _: KW_ONLY
    #: Given by the author; None: the digest of its code stands for it.
    version: str | None = field(default=None, metadata=_NOT_IN_VERSION)
    #: The code that it was loaded with, and the module that declares it; the catalog sets both.
    code: Code = field(init=False, repr=False, compare=False, default_factory=imported_code)
    declared_in: str | None = field(init=False, repr=False, compare=False, default=None)

    @property
    def traits(self) -> dict[str, str]:
        """See the base class; the function itself is told by its version."""
        return {**super().traits, "function": str(self.version or self.code_digest)}

    @cached_property
    def code_digest(self) -> str | None:
        """Of the function and all that it reaches of the author's code, as it was loaded; None: no text can be had.

        Taken once: what an object holds may change while it predicts.
        """
        return self.code.digest(self.function, declared_in=self.declared_in)

    def loaded_with(self, code: Code, module: str) -> None:
        """Notes where the declaration comes from; the first note holds."""
        if self.declared_in is None:
            object.__setattr__(self, "code", code)
            object.__setattr__(self, "declared_in", module)


@dataclass(frozen=True)
class SklearnModel(Model):
    """A scikit-learn estimator or pipeline stored with skops. A classifier labels, a regressor scores.

    With ``text=`` the estimator is given that column as a Series, otherwise ``features`` as a DataFrame.
    """

    #: A ``.skops`` file: a path, ``s3://bucket/key.skops``, or a folder that holds exactly one.
    location: str = field(metadata=_NOT_IN_VERSION)
    _: KW_ONLY
    #: Columns for the estimator; None means all columns but key and arrival.
    features: Sequence[str] | None = None
    #: Types beyond those that skops itself trusts which the file may contain, by full name.
    trusted: Sequence[str] = field(default=(), metadata=_NOT_IN_VERSION)
    #: Which probability a classifier gives: None, of the label that won; a class, of that one, whatever won; ``"all"``,
    #: of the label as the score, and of every class in column ``proba``.
    proba: str | None = None

    @property
    def reads(self) -> tuple[str, ...] | None:
        """The text's column, or the features; and the images' column."""
        images = () if self.images is None else (self.images.column,)
        if self.text is not None:
            return (self.text, *images)
        return (*self.features, *images) if self.features else None

    def problems(self) -> list[str]:
        """What is wrong with the declaration, one sentence each."""
        return super().problems() + _problems_of_proba(self.proba)

    def __post_init__(self) -> None:
        object.__setattr__(self, "trusted", as_names(self.trusted))
        if self.features is not None:
            object.__setattr__(self, "features", as_names(self.features))


@dataclass(frozen=True)
class _Transformers(Model):
    """A folder, an ``s3://`` prefix, or a hub id with a pinned revision; safetensors weights only."""

    location: str = field(metadata=_NOT_IN_VERSION)
    _: KW_ONLY
    task: Task = "classify"
    #: Commit of a hub model (40 hexadecimal digits); a hub id without it is refused.
    revision: str | None = field(default=None, metadata=_NOT_IN_VERSION)
    #: ``auto`` takes CUDA when there is a card, else the CPU; ``cuda:1`` names a card.
    device: str = field(default="auto", metadata=_NOT_IN_VERSION)
    #: ``bfloat16`` takes half the time and memory where the processor or card has instructions for it, and changes
    #: scores in their second or third digit.
    dtype: Dtype = "float32"
    #: Which probability a classifier gives; see :class:`SklearnModel`.
    proba: str | None = None

    @property
    def reads(self) -> tuple[str, ...] | None:
        """The text's column, the images' column."""
        images = None if self.images is None else self.images.column
        return tuple(name for name in (self.text, images) if name is not None)

    def problems(self) -> list[str]:
        """What is wrong with the declaration, one sentence each."""
        found = super().problems() + _problems_of_proba(self.proba)
        if self.task == "embed" and self.proba is not None:
            found.append(f"proba={self.proba!r} with task='embed': a vector has no probability; leave proba= out")
        if self.task not in ("classify", "embed"):
            found.append(f"task={self.task!r} is unknown: use 'classify' or 'embed'")
        if self.dtype not in ("float32", "bfloat16"):
            found.append(f"dtype={self.dtype!r} is unknown: use 'float32' or 'bfloat16'")
        if self.revision is not None and not _COMMIT.fullmatch(self.revision):
            found.append(f"revision={self.revision!r} is not a full commit: pin all 40 hexadecimal digits")
        if not _DEVICE.fullmatch(self.device):
            found.append(f"device={self.device!r} is unknown: use 'auto', 'cpu', 'cuda' or 'cuda:N'")
        return found


@dataclass(frozen=True)
class TransformersText(_Transformers):
    """A transformers model over the column ``text``: sequence classification, or embeddings."""

    queue: ClassVar[str] = "text"
    batch_rows: ClassVar[int] = 256
    shard_rows: ClassVar[int] = 1024
    min_shard_rows: ClassVar[int] = 64

    _: KW_ONLY
    #: Longest input in tokens; None means what the model was made for. The rest is cut off and counted.
    max_tokens: int | None = None

    def problems(self) -> list[str]:
        """What is wrong with the declaration, one sentence each."""
        found = super().problems()
        if not self.text:
            found.append("no text column: give text='body', the column that holds the text")
        return found


@dataclass(frozen=True)
class TransformersImage(_Transformers):
    """A transformers model over ``images``: classification, or embeddings."""

    queue: ClassVar[str] = "image"
    batch_rows: ClassVar[int] = PICTURE_ROWS
    shard_rows: ClassVar[int] = 512
    min_shard_rows: ClassVar[int] = 32

    def problems(self) -> list[str]:
        """What is wrong with the declaration, one sentence each."""
        found = super().problems()
        if self.images is None:
            found.append("no images: give images=Images(column='location', allow=['s3://bucket/prefix/'])")
        return found


def _problems_of_proba(proba: Any) -> list[str]:
    if proba is None or (isinstance(proba, str) and proba):
        return []
    return [
        f"proba={proba!r} must be a text: give 'all', or a class as its label is written, such as proba={str(proba)!r}"
    ]


def _upper(name: Any) -> Any:
    return name.upper() if isinstance(name, str) else name

"""transformers models for texts and images, with weights in safetensors only."""

import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from batchord.core.declared.checks import is_whole
from batchord.core.declared.models import NOT_IN_VERSION, PICTURE_ROWS, StoredModel
from batchord.core.process.extras import Extra
from batchord.models.digests import files_below
from batchord.models.proba import problems_of_proba
from batchord.models.references import check_references

if TYPE_CHECKING:
    from batchord.models.pictures import LoadedPictureModel
    from batchord.models.texts import LoadedTextModel

#: ``classify`` returns a label and a score, ``embed`` returns a vector in column ``embedding``.
Task = Literal["classify", "embed"]
#: The number type that the network computes with.
Dtype = Literal["float32", "bfloat16"]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True)
class _Transformers(StoredModel):
    """A folder, an ``s3://`` prefix, or a hub id with a pinned revision; safetensors weights only."""

    extra: ClassVar[Extra | None] = Extra.TRANSFORMERS
    #: The files of a folder that transformers may read. Pickles (.bin, .pt, .ckpt) and code (.py) are not among them.
    #: README files and training states do not change a version.
    suffixes: ClassVar[frozenset[str]] = frozenset(
        {".safetensors", ".json", ".txt", ".model", ".spm", ".bpe", ".vocab", ".tiktoken"}
    )
    on_hub: ClassVar[bool] = True

    _: KW_ONLY
    task: Task = "classify"
    revision: str | None = field(default=None, metadata=NOT_IN_VERSION)
    device: str = field(default="auto", metadata=NOT_IN_VERSION)
    dtype: Dtype = "float32"
    proba: str | None = None

    @property
    def reads(self) -> tuple[str, ...] | None:
        """The columns of the text and of the images."""
        images = None if self.images is None else self.images.column
        return tuple(name for name in (self.text, images) if name is not None)

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each."""
        problems = super().problems() + problems_of_proba(self.proba)
        if self.task == "embed" and self.proba is not None:
            problems.append(f"proba={self.proba!r} with task='embed': a vector has no probability; leave proba= out")
        if self.task not in ("classify", "embed"):
            problems.append(f"task={self.task!r} is unknown: use 'classify' or 'embed'")
        if self.dtype not in ("float32", "bfloat16"):
            problems.append(f"dtype={self.dtype!r} is unknown: use 'float32' or 'bfloat16'")
        if self.revision is not None and not _COMMIT.fullmatch(str(self.revision)):
            problems.append(f"revision={self.revision!r} is not a full commit: pin all 40 hexadecimal digits")
        if not _DEVICE.fullmatch(str(self.device)):
            problems.append(f"device={self.device!r} is unknown: use 'auto', 'cpu', 'cuda' or 'cuda:N'")
        return problems

    def check_files(self, names: Sequence[str]) -> None:
        """See the base class."""
        parts = [name for name in names if self.is_part(name)]
        if not any(name.endswith(".safetensors") for name in parts) or "config.json" not in parts:
            raise self.lacks("config.json and *.safetensors (write them with model.save_pretrained)", names)

    def _checked(self, files: Path | None) -> Path:
        """The files, after a check that they name no code and no missing part. Raises what check_references raises."""
        assert files is not None  # noqa: S101 -- a stored model's files are there
        check_references(self, files, files_below(files).keys())
        return files


@dataclass(frozen=True)
class TransformersText(_Transformers):
    """A transformers model for the column ``text``: sequence classification or embeddings.

    Args:
        location: Where the model is: a path, or ``s3://bucket/prefix``.
        text: Column with the text, for a model that reads one.
        empty: What happens to a record whose text is empty or only white space: ``reject``, or ``predict``. A
            missing text is always rejected.
        images: Which images are read and accepted, for a model that reads images.
        task: ``classify`` gives a label and its score, ``embed`` a vector in the column ``embedding``.
        revision: Commit of a hub model (40 hexadecimal digits). A hub id without it is refused.
        device: ``auto`` takes CUDA if there is a GPU, otherwise the CPU; ``cuda:1`` names a GPU.
        dtype: ``bfloat16`` takes half the time and memory if the processor or the GPU has instructions for it. It
            changes scores in their second or third digit.
        proba: Which probability a classifier gives as the score, as in :class:`SklearnModel`.
        max_tokens: The longest input in tokens; None: what the model was made for. Longer texts are cut off and
            counted.
    """

    queue: ClassVar[str] = "text"
    batch_rows: ClassVar[int] = 256
    shard_rows: ClassVar[int] = 1024
    min_shard_rows: ClassVar[int] = 64

    _: KW_ONLY
    max_tokens: int | None = None

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each."""
        problems = super().problems()
        if not self.text:
            problems.append("no text column: give text='body', the column that holds the text")
        if self.max_tokens is not None and not is_whole(self.max_tokens, least=1):
            problems.append(f"max_tokens={self.max_tokens!r}: give a whole number from 1, or None")
        return problems

    def load(self, files: Path | None, version: str, *, threads: int, copied: bool) -> "LoadedTextModel":
        """See the base class."""
        from batchord.models.texts import load_text_model

        return load_text_model(self, version, self._checked(files), threads=threads, copied=copied)


@dataclass(frozen=True)
class TransformersImage(_Transformers):
    """A transformers model for ``images``: classification or embeddings.

    Args:
        location: Where the model is: a path, or ``s3://bucket/prefix``.
        text: Column with the text, for a model that reads one.
        empty: What happens to a record whose text is empty or only white space: ``reject``, or ``predict``. A
            missing text is always rejected.
        images: Which images are read and accepted, for a model that reads images.
        task: ``classify`` gives a label and its score, ``embed`` a vector in the column ``embedding``.
        revision: Commit of a hub model (40 hexadecimal digits). A hub id without it is refused.
        device: ``auto`` takes CUDA if there is a GPU, otherwise the CPU; ``cuda:1`` names a GPU.
        dtype: ``bfloat16`` takes half the time and memory if the processor or the GPU has instructions for it. It
            changes scores in their second or third digit.
        proba: Which probability a classifier gives as the score, as in :class:`SklearnModel`.
    """

    queue: ClassVar[str] = "image"
    batch_rows: ClassVar[int] = PICTURE_ROWS
    shard_rows: ClassVar[int] = 512
    min_shard_rows: ClassVar[int] = 32

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each."""
        problems = super().problems()
        if self.images is None:
            problems.append("no images: give images=Images(column='location', allow=['s3://bucket/prefix/'])")
        return problems

    def load(self, files: Path | None, version: str, *, threads: int, copied: bool) -> "LoadedPictureModel":
        """See the base class."""
        from batchord.models.pictures import load_picture_model

        return load_picture_model(self, version, self._checked(files), threads=threads, copied=copied)

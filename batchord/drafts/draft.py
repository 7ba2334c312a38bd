"""What an author asks `batchord new` for, and the files that it writes."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause
from batchord.drafts.proposal import Proposal


class DraftKind(StrEnum):
    """What predicts in a draft."""

    FUNCTION = "function"
    SKLEARN = "sklearn"
    TEXT = "text"
    IMAGE = "image"
    XGBOOST = "xgboost"
    LIGHTGBM = "lightgbm"
    CATBOOST = "catboost"
    ONNX = "onnx"

    @property
    def is_over_a_table(self) -> bool:
        """Whether only its author's table tells what it reads, so that there is no sample of it."""
        return self in (DraftKind.XGBOOST, DraftKind.LIGHTGBM, DraftKind.CATBOOST, DraftKind.ONNX)


#: For each extra of Batchord that a draft may need, modules that it installs.
_EXTRAS = {
    "sklearn": ("sklearn", "skops"),
    "transformers": ("transformers", "torch"),
    "images": ("PIL",),
    "xgboost": ("xgboost",),
    "lightgbm": ("lightgbm",),
    "catboost": ("catboost",),
    "onnx": ("onnxruntime",),
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the author asks for."""

    name: str
    kind: DraftKind
    #: The folder of the pipelines.
    folder: Path
    #: Where the model is; None: the draft brings one, or names a place for it.
    model: str | None = None
    #: The folder of the pictures; None: the draft brings some.
    pictures: Path | None = None

    @property
    def extras(self) -> tuple[str, ...]:
        """The extras of Batchord that the pipeline needs."""
        match self.kind:
            case DraftKind.FUNCTION:
                return ()
            case DraftKind.SKLEARN:
                return ("sklearn",)
            case DraftKind.TEXT:
                return ("transformers",)
            case DraftKind.IMAGE:
                return ("images",) if self.model is None else ("images", "transformers")
            case _:
                return (self.kind.value,)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A new pipeline and its files."""

    name: str
    kind: DraftKind
    #: The files by path, the pipeline's own first: a text, or the bytes of a picture.
    files: Mapping[Path, str | bytes]
    #: The one of these files that must run once as a script, and the file that it writes.
    script: Path | None = None
    script_writes: Path | None = None
    #: The place where the author must put a model before the first run; None: the model is there.
    place_for_model: str | None = None
    #: The extras of Batchord that the pipeline needs.
    extras: Sequence[str] = ()
    #: What identifies and orders the records of the author's table; None: the draft brings its records.
    proposal: Proposal | None = None
    #: The columns of that table that the model reads.
    columns: Sequence[str] = ()
    columns_why: str = ""
    #: The other columns of that table, each with its type.
    left_out: Sequence[str] = ()

    @property
    def pipeline_file(self) -> Path:
        """The file that declares the pipeline."""
        return next(iter(self.files))

    @property
    def missing_extras(self) -> list[str]:
        """The extras that are not installed here."""
        return missing(self.extras)

    def as_json(self) -> dict[str, Any]:
        """The contract for programs."""
        proposal = self.proposal
        return {
            "name": self.name,
            "kind": self.kind,
            "files": [*map(str, self.files), *([] if self.script_writes is None else [str(self.script_writes)])],
            "key": None if proposal is None else {"column": proposal.key, "why": proposal.key_why},
            "arrival": None if proposal is None else {"column": proposal.arrival_name, "why": proposal.arrival_why},
            "columns": list(self.columns),
            "columns_why": self.columns_why or None,
            "left_out": list(self.left_out),
            "remarks": [] if proposal is None else [asdict(remark) for remark in proposal.remarks],
            "place_for_model": self.place_for_model,
            "missing_extras": self.missing_extras,
        }


def missing(extras: Sequence[str]) -> list[str]:
    """Those of ``extras`` that are not installed here."""
    return [extra for extra in extras if any(importlib.util.find_spec(module) is None for module in _EXTRAS[extra])]


def write(draft: Draft) -> None:
    """Writes the files and makes missing folders. It overwrites nothing.

    Raises ConfigurationError if a file exists or cannot be written. Then it has written none.
    """
    for path in (*draft.files, *([] if draft.script_writes is None else [draft.script_writes])):
        if path.exists() or path.is_symlink():
            raise ConfigurationError(f"{path} exists, and no file is overwritten: choose another name.")
    written: list[Path] = []
    for path, content in draft.files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                written.append(path)
                file.write(content if isinstance(content, bytes) else content.encode())
        except OSError as error:
            for each in written:
                each.unlink()
            raise ConfigurationError(f"{path} cannot be written: {clause(error.strerror or error)}.") from error

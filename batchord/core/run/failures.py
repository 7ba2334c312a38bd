"""What an author needs to see of an error that the author's code raised in an attempt."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The first error of the author's code in an attempt. Its texts hold no secrets, and no values of records."""

    #: The type of the error and its text.
    error: str
    #: The traceback from the first line of the author's code on.
    traceback: str
    #: The innermost line of the author's code, by its file's path below the project's root; None: a library raised it.
    file: str | None = None
    line: int | None = None
    #: The key of the record for which the model raised, as the ledger writes it; None: it was no model, or no record.
    key: str | None = None
    #: The columns of the frame that the model got, with their types.
    columns: Mapping[str, str] | None = None

    @property
    def place(self) -> str | None:
        """The file and the line, such as ``pipelines/reviews.py:12``."""
        return None if self.file is None else f"{self.file}:{self.line}"

    def to_json(self) -> dict[str, Any]:
        """The failure as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`."""
        return cls(**value)

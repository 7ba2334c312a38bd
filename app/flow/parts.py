"""What a verb works with. Built in one place, :mod:`app.wiring`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.core.ledger import Ledger
from app.core.pipelines import Pipeline
from app.core.ports import ImageStore, Models, Source
from app.core.sources import SqlSource
from app.settings import Settings


class Catalog(Protocol):
    """The pipelines of this process."""

    def get(self, name: str) -> Pipeline:
        """The pipeline. Raises UnknownPipeline, or CatalogError when its file has problems."""

    def names(self) -> list[str]:
        """All that can run, sorted."""


#: Opens a source for a run's window.
OpenSource = Callable[[SqlSource, tuple[datetime, datetime] | None], Source]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Ports and settings for the verbs."""

    settings: Settings
    catalog: Catalog
    ledger: Ledger
    open_source: OpenSource
    models: Models
    images: ImageStore
    #: Names this process in the ledger, such as ``host:pid``.
    worker: str

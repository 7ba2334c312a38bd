"""The ports and settings of the verbs. Only :mod:`batchord.wiring` builds them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, Self

from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.sources import Source, Window
from batchord.core.errors import CatalogError, UnknownPipeline
from batchord.core.ports import ImageStore, Models, Notifier, Switchboard
from batchord.core.run.logs import AttemptName, LogStore
from batchord.flow.attempt.heartbeat import Heartbeat
from batchord.flow.attempt.log import AttemptLog, attempt_log
from batchord.settings import Settings

if TYPE_CHECKING:
    from batchord.ledger import Ledger


class Problem(Protocol):
    """One problem that an author must correct. Its text names the file."""

    @property
    def file(self) -> str:
        """The file, relative to the pipelines' folder."""


class Catalog(Protocol):
    """The pipelines of this process."""

    def get(self, name: str) -> Pipeline:
        """The pipeline. Raises UnknownPipeline, or CatalogError if its file has problems."""

    def names(self) -> list[str]:
        """The names of all pipelines that can run, sorted."""

    @property
    def problems(self) -> Sequence[Problem]:
        """All problems that authors must correct."""


#: Opens a source for a run's window.
OpenSource = Callable[[Source, Window | None], SourceReader]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Ports and settings for the verbs."""

    settings: Settings
    catalog: Catalog
    ledger: "Ledger"
    open_source: OpenSource
    models: Models
    images: ImageStore
    #: The address of the ledger's database for the author's role; steps use it.
    author_url: str = field(repr=False)
    logs: LogStore
    notifier: Notifier
    switchboard: Switchboard
    #: The environment of this process, in which variables name a pipeline's own receivers.
    environment: Mapping[str, str]
    #: Masks the secrets in a text before it is stored or sent.
    mask: Callable[[str], str]
    #: Names this process in the ledger, such as ``host:pid``.
    worker: str
    #: Makes the report of a run as HTML, by the run's id; None: this process has no program for it.
    run_report: Callable[[str], str] | None = None
    #: The id of the Celery task that uses these parts; None without Celery.
    task: str | None = None
    #: When this machine began to use the code that this process has loaded; None: unknown.
    code_since: datetime | None = None

    def took_up_code_after(self, moment: datetime | None) -> bool:
        """Whether the code here is newer than ``moment``. Then it was edited; otherwise this worker may be behind."""
        return moment is not None and self.code_since is not None and self.code_since >= moment

    def check_files(self, run_id: str) -> None:
        """Raises UnknownPipeline if the run's pipeline may be in a file that cannot be loaded here.

        Call it before claiming anything of the run: no attempt can succeed until somebody corrects the file.
        """
        if not self.catalog.problems:
            return
        try:
            self.catalog.get(self.ledger.runs.get(run_id).pipeline)
        except CatalogError as error:
            raise UnknownPipeline(str(error)) from error

    def interrupted_with(self, beat: Heartbeat) -> Self:
        """The same parts, but reads of their sources end when ``beat`` loses the lease."""

        def open_source(declared: Source, window: Window | None) -> SourceReader:
            source = self.open_source(declared, window)
            beat.at_loss(source.interrupt)
            return source

        return replace(self, open_source=open_source)

    def log_of(self, attempt: AttemptName) -> AbstractContextManager[AttemptLog]:
        """Stores what the block logs and prints as the attempt's log."""
        limit = self.settings.log_bytes
        return attempt_log(self.logs, attempt, worker=self.worker, limit_bytes=limit, mask=self.mask)

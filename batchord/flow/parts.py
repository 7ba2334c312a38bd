"""What a verb works with. Built in one place, :mod:`batchord.wiring`."""

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
    """One thing that an author must mend; its text names the file."""

    @property
    def file(self) -> str:
        """The file, relative to the pipelines' folder."""


class Catalog(Protocol):
    """The pipelines of this process."""

    def get(self, name: str) -> Pipeline:
        """The pipeline. Raises UnknownPipeline, or CatalogError when its file has problems."""

    def names(self) -> list[str]:
        """All that can run, sorted."""

    @property
    def problems(self) -> Sequence[Problem]:
        """Everything that an author must mend."""


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
    #: The ledger's database by the author's role, for steps.
    author_url: str = field(repr=False)
    logs: LogStore
    notifier: Notifier
    switchboard: Switchboard
    #: What this process was started with: where a pipeline's own receivers are named.
    environment: Mapping[str, str]
    #: Takes secrets out of what is kept and told.
    mask: Callable[[str], str]
    #: Names this process in the ledger, such as ``host:pid``.
    worker: str
    #: The id of the Celery task that works with them; None in a process of its own.
    task: str | None = None
    #: When this process's machine took up the code that it works with; None: it is not known.
    code_since: datetime | None = None

    def took_up_code_after(self, moment: datetime | None) -> bool:
        """Whether the code here is newer than work of that time: then it was edited, else this worker may be behind."""
        return moment is not None and self.code_since is not None and self.code_since >= moment

    def check_files(self, run_id: str) -> None:
        """Raises UnknownPipeline where the run's pipeline may be in a file that cannot be loaded here.

        Asked before anything of the run is claimed: no attempt goes better until somebody corrects the file.
        """
        if not self.catalog.problems:
            return
        try:
            self.catalog.get(self.ledger.runs.get(run_id).pipeline)
        except CatalogError as error:
            raise UnknownPipeline(str(error)) from error

    def interrupted_with(self, beat: Heartbeat) -> Self:
        """The same parts, whose sources are read no further when the lease that ``beat`` keeps is lost."""

        def open_source(declared: Source, window: Window | None) -> SourceReader:
            source = self.open_source(declared, window)
            beat.at_loss(source.interrupt)
            return source

        return replace(self, open_source=open_source)

    def log_of(self, attempt: AttemptName) -> AbstractContextManager[AttemptLog]:
        """Keeps what is logged and printed in the block as the attempt's log."""
        limit = self.settings.log_bytes
        return attempt_log(self.logs, attempt, worker=self.worker, limit_bytes=limit, mask=self.mask)

"""The current pipelines of a folder. Edits are taken up within seconds, without a restart."""

import logging
import os
import threading
import time
from pathlib import Path

from batchord.catalog.catalog import Snapshot
from batchord.catalog.code import AuthorsCode
from batchord.catalog.editions import Edition, Store
from batchord.catalog.reading import Loaded, Problem, load
from batchord.catalog.takeup import stamps_of, take_up
from batchord.core.declared.pipelines import Pipeline
from batchord.output.masking import learn

log = logging.getLogger(__name__)

#: How often the files are checked for edits.
LOOK_SECONDS = 2.0
#: How often a broken file is tried again although it did not change: a missing library may be installed by now.
AGAIN_SECONDS = 30.0


class LiveCatalog:
    """Takes up edits when somebody asks for a snapshot. Threads may share it.

    One process of the machine tries a change, in a throw-away process. All others find the edition in ``home``.
    ``decides``: whether this process decides for all of them that a file is broken. A command does not, because its
    shell may lack libraries or variables that the workers have.
    """

    def __init__(self, folder: Path, home: Path, *, decides: bool = False) -> None:
        self.folder = folder
        self._decides = decides
        self._root = folder.resolve()
        self._store = Store(home, self._root)
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._own: Edition | None = None
        #: When this process last tried the files, in seconds since 1970.
        self._tried_at: float | None = None
        self._edition: Edition | None = None
        self._loaded = Loaded()
        self._snapshot: Snapshot | None = None
        #: How many editions this process has loaded.
        self.loads = 0

    def snapshot(self) -> Snapshot:
        """The current pipelines. The caller keeps its snapshot: later edits do not change it."""
        snapshot = self._snapshot
        # While one thread looks for edits, the other threads use the last snapshot, if there is one.
        if not self._lock.acquire(blocking=snapshot is None):
            assert snapshot is not None  # noqa: S101 -- without one, acquire() would have waited
            return snapshot
        try:
            return self._newest()
        finally:
            self._lock.release()

    @property
    def stale(self) -> bool:
        """Whether this process has loaded modules of an edition other than the current one."""
        if self._edition is None:
            return False
        edition = self._store.current()
        return self.loads > 1 or (edition is not None and edition.id != self._edition.id)

    @property
    def loaded(self) -> Loaded:
        """The current contents of the folder."""
        return self.snapshot().loaded

    @property
    def problems(self) -> list[Problem]:
        """Everything that an author must correct now."""
        return self.snapshot().problems

    def get(self, name: str) -> Pipeline:
        """See :class:`batchord.flow.parts.Catalog`."""
        return self.snapshot().get(name)

    def names(self) -> list[str]:
        """The names of all pipelines that can run now, sorted."""
        return self.snapshot().names()

    def _newest(self) -> Snapshot:
        if not self._root.is_dir():
            return self._without_folder()
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._look()
            self._looked_at = time.monotonic()  # after the look, which may have tried files for seconds
        edition = self._usable_edition()
        if edition is None:  # another process is trying the files for the first time
            self._look(wait=True)
            edition = self._usable_edition()
        assert edition is not None  # noqa: S101 -- _look() provides one, stored or this process's own
        if self._snapshot is None or self._edition != edition:
            try:
                self._snapshot = self._load(edition)
            except OSError as error:
                log.warning(
                    "The saved code of the pipelines cannot be read (%s). This process loads the files again.", error
                )
                self._own = edition = take_up(self._root, None, stamps_of(self._root, None), self._store)
                self._snapshot = self._load(edition)
        return self._snapshot

    def _without_folder(self) -> Snapshot:
        """The last stored pipelines, if there are any: a disk that is away for a while must not end a pipeline."""
        missing, edition = load(self.folder), self._usable_edition()
        if edition is None:
            return Snapshot(self.folder, missing)
        stored = self._load(edition)
        problems = [*stored.problems, *missing.problems]
        both = Loaded(pipelines=stored.loaded.pipelines, files=stored.loaded.files, problems=problems)
        return Snapshot(self.folder, both, since=stored.since)

    def _usable_edition(self) -> Edition | None:
        """This process's own edition, or the stored one if another process has tried the files later."""
        stored = self._store.current()
        if self._own is not None and stored is not None and stored.tried_at > self._own.tried_at:
            self._own = None
        return self._own or stored

    def _look(self, *, wait: bool = False) -> None:
        if not self._must_try(self._usable_edition()):
            return
        with self._store.locked(wait=wait or not self._decides) as held:
            before = self._usable_edition()
            if held and self._must_try(before):
                self._take_up(self._store.current() or before)

    def _take_up(self, before: Edition | None) -> None:
        try:
            edition = take_up(self._root, before, stamps_of(self._root, before), self._store)
        except OSError as error:  # no memory or disk space for another process
            if before is None:
                raise
            log.warning(
                "The edited files cannot be tried now. The pipelines continue with their current code: %s", error
            )
            return
        self._tried_at = edition.tried_at
        if before is not None and edition.problems and not self._decides:
            self._own = edition
            return
        try:
            self._store.publish(edition)
            self._own = None
        except OSError as error:
            log.warning("The pipelines' code could not be saved for other processes: %s", error)
            self._own = edition
        for problem in edition.problems:
            if before is None or problem not in before.problems:
                log.info("%s", problem)  # commands show it in their own way, and beat logs it as an error

    def _must_try(self, edition: Edition | None) -> bool:
        if edition is None or stamps_of(self._root, edition) != edition.stamps:
            return True
        again = AGAIN_SECONDS if self._decides or edition.tried_at == self._tried_at else 0.0
        return bool(edition.problems) and not 0 <= time.time() - edition.tried_at < again

    def _load(self, edition: Edition) -> Snapshot:
        # With the same id, the texts are the same and only the problems may differ.
        if self._edition is None or self._edition.id != edition.id:
            # Not needed where files are only tried: it loads pydantic, for half of the time that a trial takes.
            from batchord.output.known_secrets import secrets_of

            code = AuthorsCode(self._store.texts(edition))
            self._loaded = load(self._root, code=code, files=edition.files)
            learn(secrets_of(self._loaded.pipelines.values(), os.environ))
            self.loads += 1
            if self.loads > 1:
                log.info("The pipelines' code has changed. This process has loaded the new code.")
        loaded, self._edition = self._loaded, edition
        reported = {(problem.file, problem.pipeline) for problem in edition.problems}
        own = [problem for problem in loaded.problems if (problem.file, problem.pipeline) not in reported]
        both = Loaded(pipelines=loaded.pipelines, files=loaded.files, problems=[*edition.problems, *own])
        return Snapshot(self.folder, both, since=edition.since)

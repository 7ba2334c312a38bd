"""The pipelines of a folder as they are now: what is edited is taken up within seconds, without a restart."""

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
from batchord.output.known_secrets import secrets_of
from batchord.output.masking import learn

log = logging.getLogger(__name__)

#: How often the files are looked at.
LOOK_SECONDS = 2.0
#: How often a file that is broken is tried again though it did not change: the library that it lacks may be there now.
AGAIN_SECONDS = 30.0


class LiveCatalog:
    """Takes up edits when it is asked for a snapshot. Safe in threads.

    A change is tried in a throw-away process, by one process of the machine for all; the others find the edition in
    ``home``. ``decides``: whether this process says for all of them that a file is broken. A command does not: its
    shell may lack what the workers have.
    """

    def __init__(self, folder: Path, home: Path, *, decides: bool = False) -> None:
        self.folder = folder
        self._decides = decides
        self._root = folder.resolve()
        self._store = Store(home, self._root)
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._own: Edition | None = None
        self._edition: Edition | None = None
        self._loaded = Loaded()
        self._snapshot: Snapshot | None = None
        #: How many editions this process has loaded.
        self.loads = 0

    def snapshot(self) -> Snapshot:
        """The pipelines as they are now; whoever works with it goes on with it, whatever is edited."""
        snapshot = self._snapshot
        # Others go on with what there is while one looks, if there is something.
        if not self._lock.acquire(blocking=snapshot is None):
            assert snapshot is not None  # noqa: S101 -- or it would have waited
            return snapshot
        try:
            return self._newest()
        finally:
            self._lock.release()

    @property
    def stale(self) -> bool:
        """Whether this process carries another edition's modules than the one in use, or the remains of one."""
        if self._edition is None:
            return False
        edition = self._store.current()
        return self.loads > 1 or (edition is not None and edition.id != self._edition.id)

    @property
    def loaded(self) -> Loaded:
        """What the folder holds now."""
        return self.snapshot().loaded

    @property
    def problems(self) -> list[Problem]:
        """Everything that an author must mend now."""
        return self.snapshot().problems

    def get(self, name: str) -> Pipeline:
        """See :class:`batchord.flow.parts.Catalog`."""
        return self.snapshot().get(name)

    def names(self) -> list[str]:
        """All that can run now, sorted."""
        return self.snapshot().names()

    def _newest(self) -> Snapshot:
        if not self._root.is_dir():
            return self._without_folder()
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._look()
            self._looked_at = now
        edition = self._known()
        if edition is None:  # another process tries the files for the first time
            self._look(wait=True)
            edition = self._known()
        assert edition is not None  # noqa: S101 -- _look() leaves one, kept or this process's own
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
        """What was there last, if it is kept: a disk that is away for a while ends no pipeline."""
        missing, edition = load(self.folder), self._known()
        if edition is None:
            return Snapshot(self.folder, missing)
        kept = self._load(edition)
        problems = [*kept.problems, *missing.problems]
        both = Loaded(pipelines=kept.loaded.pipelines, files=kept.loaded.files, problems=problems)
        return Snapshot(self.folder, both, since=kept.since)

    def _known(self) -> Edition | None:
        """The edition in use here: what this process found for itself, until another has tried the files again."""
        kept = self._store.current()
        if self._own is not None and kept is not None and kept.tried_at > self._own.tried_at:
            self._own = None
        return self._own or kept

    def _look(self, *, wait: bool = False) -> None:
        if not self._to_try(self._known()):
            return
        with self._store.locked(wait=wait or not self._decides) as held:
            before = self._known()
            if held and self._to_try(before):
                self._take_up(self._store.current() or before)

    def _take_up(self, before: Edition | None) -> None:
        try:
            edition = take_up(self._root, before, stamps_of(self._root, before), self._store)
        except OSError as error:  # no memory or place for another process
            if before is None:
                raise
            log.warning(
                "The edited files cannot be tried now. The pipelines continue with their current code: %s", error
            )
            return
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
                log.info("%s", problem)  # a command shows it in its own way, beat logs it as an error

    def _to_try(self, known: Edition | None) -> bool:
        if known is None or stamps_of(self._root, known) != known.stamps:
            return True
        again = AGAIN_SECONDS if self._decides or self._own is not None else 0.0
        return bool(known.problems) and not 0 <= time.time() - known.tried_at < again

    def _load(self, edition: Edition) -> Snapshot:
        # With the same texts only what is known of the others has changed.
        if self._edition is None or self._edition.id != edition.id:
            code = AuthorsCode(self._store.texts(edition))
            self._loaded = load(self._root, code=code, files=edition.files)
            learn(secrets_of(self._loaded.pipelines.values(), os.environ))
            self.loads += 1
            if self.loads > 1:
                log.info("The pipelines' code has changed. This process has loaded the new code.")
        loaded, self._edition = self._loaded, edition
        known = {(problem.file, problem.pipeline) for problem in edition.problems}
        own = [problem for problem in loaded.problems if (problem.file, problem.pipeline) not in known]
        both = Loaded(pipelines=loaded.pipelines, files=loaded.files, problems=[*edition.problems, *own])
        return Snapshot(self.folder, both, since=edition.since)

"""Finds, checks, downloads and loads models, each at most once per process."""

import re
import threading
from collections import OrderedDict
from pathlib import Path, PurePath

from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.declared.models import Model, StoredModel
from batchord.core.errors import MissingExtra, ModelNotFound
from batchord.core.ports import NotAtHand
from batchord.core.process.extras import require
from batchord.models import hub_files
from batchord.models.downloads import Downloads
from batchord.models.local_files import LocalFiles, nothing_but_parts
from batchord.models.places import local_path
from batchord.models.s3_files import S3Files
from batchord.models.versions import WEIGHT_DIGITS, digest_of, readable_name, version_of, weights_of, with_options
from batchord.processes.per_process import PerProcess
from batchord.storage.objects import Objects

#: Versions of one declaration kept in memory. While a model is being replaced, runs of both versions take turns.
_KEPT = 2
_DIGEST = re.compile(f"[0-9a-f]{{{WEIGHT_DIGITS}}}")


class _Memory:
    """The models and digests that one process has in memory."""

    def __init__(self) -> None:
        self.files = LocalFiles()
        self._lock = threading.Lock()
        self._shelves: dict[Model, _Shelf] = {}

    def shelf(self, declared: Model) -> "_Shelf":
        with self._lock:
            return self._shelves.setdefault(declared, _Shelf())


class _Shelf:
    """The loaded versions of one declaration. Each shelf has its own lock, so that other declarations can load too."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.loaded: OrderedDict[str, LoadedModel] = OrderedDict()


class ModelLibrary:
    """Implements :class:`batchord.core.ports.Models`.

    ``home`` is the folder for downloaded models. ``torch_threads`` is the number of threads that one process uses for
    tensors and matrices. ``hub_url`` names a mirror of the Hugging Face hub. Threads may share a library. After a fork,
    the library holds no loaded model in the child.
    """

    def __init__(self, *, home: Path, objects: Objects, torch_threads: int = 1, hub_url: str | None = None) -> None:
        self._downloads = Downloads(home)
        self._s3 = S3Files(objects)
        self._threads = torch_threads
        self._hub_url = hub_url
        self._memory = PerProcess(_Memory)

    def version(self, declared: Model) -> str:
        """See :meth:`batchord.core.ports.Models.version`. :mod:`batchord.models.versions` describes its parts."""
        if not isinstance(declared, StoredModel):
            return with_options(declared.own_version(), declared)
        with declared.naming_its_place("The model"):
            return version_of(_name(declared), self._digest(declared), declared)

    def load(self, declared: Model, version: str) -> LoadedModel:
        """See :meth:`batchord.core.ports.Models.load`."""
        shelf = self._memory().shelf(declared)
        with shelf.lock:
            if version not in shelf.loaded:
                shelf.loaded[version] = self._load(declared, version)
                if len(shelf.loaded) > _KEPT:
                    shelf.loaded.popitem(last=False)
            shelf.loaded.move_to_end(version)
            return shelf.loaded[version]

    def load_at_hand(self, declared: Model, version: str) -> LoadedModel | NotAtHand:
        """See :meth:`batchord.core.ports.Models.load_at_hand`."""
        if isinstance(declared, StoredModel) and declared.runs_code:
            self._check_download(declared, version)
            return NotAtHand("its file is a pickle, whose code runs only where records are predicted")
        if not declared.loads_quickly:
            return NotAtHand(f"a model of kind {type(declared).__name__} may take long to load")
        if isinstance(declared, StoredModel) and not self._is_here(declared, version):
            return NotAtHand("its files are not on this machine yet")
        try:
            return self.load(declared, version)
        except MissingExtra:  # a machine that only gives commands has no library of models
            return NotAtHand("its libraries are not installed on this machine")
        except ModuleNotFoundError as error:  # of a function, as above
            return NotAtHand(f"{error} on this machine")

    def _check_download(self, declared: StoredModel, version: str) -> None:
        """Checks what is downloaded. The digests of a model in its place are checked with its version."""
        folder = self._downloads.find(weights_of(version)) if declared.location.startswith("s3://") else None
        if folder is not None:
            with declared.naming_its_place("The model"):
                self._memory().files.fingerprints(declared, folder)

    def _is_here(self, declared: StoredModel, version: str) -> bool:
        in_place = not declared.location.startswith("s3://") and local_path(declared) is not None
        return in_place or self._downloads.find(weights_of(version)) is not None

    def _load(self, declared: Model, version: str) -> LoadedModel:
        require(*declared.extras, for_what=f"{type(declared).__name__} ({version})", unneeded=declared.unneeded)
        if not isinstance(declared, StoredModel):
            _check(self.version(declared), version, "its code")
            return declared.load(None, version, threads=self._threads, copied=False)
        with declared.naming_its_place("The model"):
            return self._load_stored(declared, version)

    def _load_stored(self, declared: StoredModel, version: str) -> LoadedModel:
        if declared.location.startswith("s3://"):
            files = self._from_s3(declared, version)
            return declared.load(files, version, threads=self._threads, copied=False)
        _check(self.version(declared), version, declared.location)
        folder = local_path(declared)
        if folder is None:
            return declared.load(self._from_hub(declared, version), version, threads=self._threads, copied=False)
        with nothing_but_parts(declared, folder) as parts:
            loaded = declared.load(parts, version, threads=self._threads, copied=True)
        # Check again: the files may have been replaced while they were read.
        _check(self.version(declared), version, declared.location)
        return loaded

    def _from_s3(self, declared: StoredModel, version: str) -> Path:
        weights = weights_of(version)
        digest = weights.removeprefix(f"{_name(declared)}@")
        # Compare the version with the declaration first. If they agree and the files are on this machine, the store
        # need not be asked.
        if not _DIGEST.fullmatch(digest) or version_of(_name(declared), digest, declared) != version:
            _check(self.version(declared), version, declared.location)

        def fetch(folder: Path) -> None:
            _check(self.version(declared), version, declared.location)
            downloaded = version_of(_name(declared), digest_of(self._s3.download(declared, folder)), declared)
            _check(downloaded, version, declared.location)

        return self._downloads.find(weights) or self._downloads.bring(weights, fetch)

    def _from_hub(self, declared: StoredModel, version: str) -> Path:
        revision = str(getattr(declared, "revision", None))
        weights = weights_of(version)
        return self._downloads.find(weights) or self._downloads.bring(
            weights, lambda folder: hub_files.download(declared, revision, folder, hub_url=self._hub_url)
        )

    def _digest(self, declared: StoredModel) -> str:
        if declared.location.startswith("s3://"):
            return digest_of(self._s3.fingerprints(declared))
        path = local_path(declared)
        if path is None:
            return str(getattr(declared, "revision", None))[:WEIGHT_DIGITS]
        return digest_of(self._memory().files.fingerprints(declared, path))


def _name(declared: StoredModel) -> str:
    if declared.location.startswith("s3://"):
        place = declared.location.removeprefix("s3://").partition("/")[2]
    else:
        path = Path(declared.location).expanduser()
        place = str(path.absolute()) if path.exists() else declared.location
    return readable_name(place, is_file=declared.is_part(PurePath(place).name))


def _check(now: str, wanted: str, location: str) -> None:
    if now != wanted:
        raise ModelNotFound(
            f"The run needs model version {wanted}, but {location} now holds {now}. Start a new run, which uses the "
            "new version, or restore the old files. To avoid this, give each version a folder or prefix of its own."
        )

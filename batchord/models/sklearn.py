"""scikit-learn estimators, stored with skops, or pickled and trusted by their digest."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from batchord.core.declared.checks import shown
from batchord.core.declared.models import NOT_IN_VERSION, StoredModel
from batchord.core.errors import BatchordError, ConfigurationError, ModelNotFound
from batchord.core.process.extras import Extra
from batchord.core.text.counts import counted
from batchord.core.text.names import as_names
from batchord.models.pickles import PICKLED, check_digest, is_digest
from batchord.models.proba import problems_of_proba

if TYPE_CHECKING:
    from batchord.models.estimators import LoadedEstimator

_NEEDED = "a .skops file (write one with skops.io.dump)"


@dataclass(frozen=True)
class SklearnModel(StoredModel):
    """A scikit-learn estimator or pipeline stored with skops. A classifier returns labels, a regressor scores.

    ``location`` is a ``.skops`` file: a path, ``s3://bucket/key.skops``, or a folder that holds exactly one. With
    ``text=`` the estimator gets that column as a Series, otherwise it gets ``features`` as a DataFrame. With
    ``trust_pickle=`` the file is a pickle instead: ``.joblib``, ``.pkl`` or ``.pickle``.

    Args:
        location: Where the model is: a path, or ``s3://bucket/prefix``.
        text: Column with the text, for a model that reads one.
        empty: What happens to a record whose text is empty or only white space: ``reject``, or ``predict``. A
            missing text is always rejected.
        images: Which images are read and accepted, for a model that reads images.
        features: Columns for the estimator; None means all columns except key and arrival.
        trusted: Full names of types that the file may contain besides those that skops itself trusts.
        proba: Which probability a classifier returns as ``score``. None: that of the label. The name of a class:
            that of this class, whatever the label is. ``"all"``: that of the label, and those of all classes in
            column ``proba``.
        trust_pickle: The digest of a pickled file whose code may run as the worker: ``sha256:`` and 64 digits, as
            `batchord trust FILE` prints them. A file with other bytes is not loaded.
    """

    extra: ClassVar[Extra | None] = Extra.SKLEARN
    suffixes: ClassVar[frozenset[str]] = frozenset({".skops"})
    loads_quickly: ClassVar[bool] = True

    _: KW_ONLY
    features: Sequence[str] | None = None
    trusted: Sequence[str] = field(default=(), metadata=NOT_IN_VERSION)
    proba: str | None = None
    trust_pickle: str | None = field(default=None, metadata=NOT_IN_VERSION)

    @property
    def unneeded(self) -> frozenset[str]:
        """See the base class. A pickle needs no skops."""
        return frozenset({"skops"}) if self.runs_code else frozenset()

    @property
    def runs_code(self) -> bool:
        """See the base class."""
        return self.trust_pickle is not None

    @property
    def reads(self) -> tuple[str, ...] | None:
        """The column of the text, or the features; and the column of the images."""
        images = () if self.images is None else (self.images.column,)
        if self.text is not None:
            return (self.text, *images)
        return (*self.features, *images) if self.features else None

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each."""
        problems = super().problems() + problems_of_proba(self.proba)
        for option in ("features", "trusted"):
            if not all(isinstance(name, str) for name in getattr(self, option) or ()):
                problems.append(f"{option}={shown(getattr(self, option))}: give a list of texts")
        return problems + self._problems_of_trust()

    def _problems_of_trust(self) -> list[str]:
        if self.trust_pickle is None:
            return []
        if not isinstance(self.trust_pickle, str) or not is_digest(self.trust_pickle):
            given = shown(self.trust_pickle)
            return [
                f"trust_pickle={given}: give sha256: and 64 hexadecimal digits, as `batchord trust FILE` prints them"
            ]
        if _suffix(self.location) == ".skops":
            return [f"trust_pickle= is for pickled files, and {self.location} is a .skops file: leave it out"]
        if self.trusted:
            return ["trusted= is for .skops files, and trust_pickle= trusts a pickle as a whole: leave trusted= out"]
        return []

    def __post_init__(self) -> None:
        object.__setattr__(self, "trusted", as_names(self.trusted))
        if isinstance(self.trust_pickle, str):
            object.__setattr__(self, "trust_pickle", self.trust_pickle.strip().lower())
        if self.features is not None:
            object.__setattr__(self, "features", as_names(self.features))

    @property
    def takes_arrival(self) -> bool:
        """See the base class. The arrival must not be a feature: the estimator was not fitted on it."""
        return self.features is not None or self.text is not None

    def is_part(self, name: str) -> bool:
        """See the base class. A pickle is a part only if it is trusted, and then nothing else is."""
        if self.trust_pickle is None:
            return super().is_part(name)
        return _suffix(name) in PICKLED and not any(part.startswith(".") for part in PurePosixPath(name).parts)

    def check_files(self, names: Sequence[str]) -> None:
        """See the base class."""
        parts = sorted(name for name in names if self.is_part(name))
        kind = ".skops file" if self.trust_pickle is None else "pickled file"
        if len(parts) > 1:
            raise ConfigurationError(
                f"{self.location} holds {counted(len(parts), kind)} ({', '.join(parts[:5])}): name the one to use."
            )
        if not parts and self.trust_pickle is None:
            raise self.lacks(_NEEDED, names)
        if not parts:
            raise ModelNotFound(
                f"{self.location} holds no pickled model, but trust_pickle= is given: it needs a "
                f"{', '.join(sorted(PICKLED))} file, but has {sorted(names)[:10] or 'no file'}."
            )

    def lacks(self, needed: str, names: Sequence[str]) -> BatchordError:
        """See the base class. For a pickled estimator it has two ways out."""
        pickled = sorted(name for name in names if _suffix(name) in PICKLED)
        if not pickled:
            return super().lacks(needed, names)
        if len(pickled) == 1:
            is_file = _suffix(self.location) in PICKLED
            file = self.location if is_file else f"{self.location.rstrip('/')}/{pickled[0]}"
            target = f"{PurePosixPath(file).stem}.skops"
        else:
            file, target = "FILE", "FILE.skops"
        return ConfigurationError(
            f"{self.location} is pickled ({', '.join(pickled[:5])}), and unpickling runs any code in the file. Convert "
            f"it: `batchord convert {file} -o {target}`. Or, if you trust everybody who can write the file, add the "
            f'line that `batchord trust {file}` prints, trust_pickle="sha256:…".'
        )

    def check_contents(self, digests: Mapping[str, str]) -> None:
        """See the base class. A pickle must be the one that is trusted."""
        if self.trust_pickle is not None:
            for digest in digests.values():
                check_digest(self.location, f"sha256:{digest}", self.trust_pickle, option="trust_pickle=")

    def problems_of_files(self) -> list[str]:
        """See the base class: whether a pickle is trusted, and whether it is the one that is trusted."""
        from batchord.models.local_files import LocalFiles

        here = Path(self.location).expanduser()
        if self.trust_pickle is None and _suffix(self.location) in PICKLED and not here.is_dir():
            return [str(self.lacks(_NEEDED, [here.name]))]
        if self.trust_pickle is None or self.location.startswith("s3://") or not here.exists():
            return []
        try:
            LocalFiles().fingerprints(self, here)
        except (ConfigurationError, ModelNotFound) as error:
            return [str(error)]
        return []

    def load(self, files: Path | None, version: str, *, threads: int, copied: bool) -> "LoadedEstimator":  # noqa: ARG002
        """See the base class."""
        from batchord.models.estimators import load_estimator

        assert files is not None  # noqa: S101 -- a stored model's files are there
        return load_estimator(self, version, files, threads=threads)


def _suffix(name: object) -> str:
    return PurePosixPath(name).suffix if isinstance(name, str) else ""

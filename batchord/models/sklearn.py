"""scikit-learn estimators, stored with skops."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from batchord.core.declared.checks import shown
from batchord.core.declared.models import NOT_IN_VERSION, StoredModel
from batchord.core.errors import ConfigurationError
from batchord.core.process.extras import Extra
from batchord.core.text.names import as_names
from batchord.models.proba import problems_of_proba

if TYPE_CHECKING:
    from batchord.models.estimators import LoadedEstimator


@dataclass(frozen=True)
class SklearnModel(StoredModel):
    """A scikit-learn estimator or pipeline stored with skops. A classifier returns labels, a regressor scores.

    ``location`` is a ``.skops`` file: a path, ``s3://bucket/key.skops``, or a folder that holds exactly one. With
    ``text=`` the estimator gets that column as a Series, otherwise it gets ``features`` as a DataFrame.

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
    """

    extra: ClassVar[Extra | None] = Extra.SKLEARN
    suffixes: ClassVar[frozenset[str]] = frozenset({".skops"})
    loads_quickly: ClassVar[bool] = True

    _: KW_ONLY
    features: Sequence[str] | None = None
    trusted: Sequence[str] = field(default=(), metadata=NOT_IN_VERSION)
    proba: str | None = None

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
        return problems

    def __post_init__(self) -> None:
        object.__setattr__(self, "trusted", as_names(self.trusted))
        if self.features is not None:
            object.__setattr__(self, "features", as_names(self.features))

    @property
    def takes_arrival(self) -> bool:
        """See the base class. The arrival must not be a feature: the estimator was not fitted on it."""
        return self.features is not None or self.text is not None

    def check_files(self, names: Sequence[str]) -> None:
        """See the base class."""
        parts = sorted(name for name in names if self.is_part(name))
        if len(parts) > 1:
            raise ConfigurationError(
                f"{self.location} holds {len(parts)} .skops files ({', '.join(parts[:5])}): name the one to use."
            )
        if not parts:
            raise self.lacks("a .skops file (write one with skops.io.dump)", names)

    def load(self, files: Path | None, version: str, *, threads: int, copied: bool) -> "LoadedEstimator":  # noqa: ARG002
        """See the base class."""
        from batchord.models.estimators import load_estimator

        assert files is not None  # noqa: S101 -- a stored model's files are there
        return load_estimator(self, version, files, threads=threads)

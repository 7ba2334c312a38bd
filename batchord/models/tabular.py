"""What models over the columns of a table have in common: their features, their classes, their one file."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from batchord.core.declared.checks import shown
from batchord.core.declared.models import StoredModel
from batchord.core.errors import ConfigurationError, ModelNotFound
from batchord.core.text.counts import counted
from batchord.core.text.error_text import clause
from batchord.core.text.names import as_names
from batchord.models.classes import likelihoods, refused
from batchord.models.digests import single_file
from batchord.models.failures import check_columns, predicting
from batchord.models.proba import problems_of_proba

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class TabularModel(StoredModel):
    """A model of one file over the columns of a table. Its kinds are public, this class is not.

    Args:
        location: Where the model is: a path, or ``s3://bucket/prefix``.
        features: Columns for the model, in the order of its training; None means those whose names its file holds.
        classes: Names of a classifier's classes, in the order of their numbers; None: those in its file, otherwise
            the numbers.
        proba: Which probability a classifier returns as ``score``. None: that of the label. The name of a class:
            that of this class, whatever the label is. ``"all"``: that of the label, and those of all classes in
            column ``proba``.
    """

    loads_quickly: ClassVar[bool] = True
    #: What people call a file of this kind, and how they write one.
    written_by: ClassVar[str] = ""

    _: KW_ONLY
    features: Sequence[str] | None = None
    classes: Sequence[str] | None = None
    proba: str | None = None

    def __post_init__(self) -> None:
        for option in ("features", "classes"):
            if getattr(self, option) is not None:
                object.__setattr__(self, option, as_names(getattr(self, option)))

    @property
    def reads(self) -> tuple[str, ...] | None:
        """The features, if the declaration names them."""
        return tuple(self.features) if self.features else None

    @property
    def takes_arrival(self) -> bool:
        """See the base class. The model finds its features by their names, so the arrival does it no harm."""
        return True

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each."""
        problems = super().problems() + problems_of_proba(self.proba)
        for option in ("features", "classes"):
            names = getattr(self, option)
            if names is not None and (not names or not all(isinstance(name, str) for name in names)):
                problems.append(f"{option}={shown(names)}: give a list of texts")
        return problems + self._problems_of_reading()

    def _problems_of_reading(self) -> list[str]:
        kind = type(self).__name__
        return [
            f"{option}= is given, but a {kind} reads columns of a table: name them in features=[…]"
            for option in ("text", "images")
            if getattr(self, option) is not None
        ]

    def check_files(self, names: Sequence[str]) -> None:
        """See the base class."""
        parts = sorted(name for name in names if self.is_part(name))
        if len(parts) > 1:
            raise ConfigurationError(
                f"{self.location} holds {counted(len(parts), 'file')} that a {type(self).__name__} could be "
                f"({', '.join(parts[:5])}): name the one to use."
            )
        if not parts:
            raise self.lacks(f"a {' or '.join(sorted(self.suffixes))} file ({self.written_by})", names)

    def file_in(self, files: Path | None) -> Path:
        """The model's file: ``files`` itself, or the only part below that folder."""
        assert files is not None  # noqa: S101 -- a stored model's files are there
        return single_file(files, self.is_part)

    def unreadable(self, error: Exception) -> ModelNotFound:
        """The error for a file that its library cannot read."""
        first_line = str(error).partition("\n")[0]  # some libraries add their stack
        return ModelNotFound(
            f"{self.location} cannot be read as a model ({clause(first_line)}): it may be cut short or of another "
            f"kind. Write it anew: {self.written_by}."
        )


class LoadedTabular:
    """A loaded model over the columns of a table; what its kinds share of :class:`.LoadedModel`."""

    runs_on = "cpu"
    picture_side = None
    costly_characters = None
    #: The names of a classifier's classes; None: the model gives numbers.
    _names: tuple[str, ...] | None = None

    def __init__(self, declared: TabularModel, version: str, *, known: Sequence[str] | None, count: int) -> None:
        """``known``: the names of the features in the model's file. ``count``: how many features there are.

        Raises ConfigurationError if the declared features cannot be those.
        """
        self.version = version
        self._declared = declared
        features = declared.features
        if features is None and known is None:
            raise ConfigurationError(
                f"{declared.location} was trained without names of its {counted(count, 'column')}: name them in "
                "features=[…], in the order of the training."
            )
        if features is not None and len(features) != count:
            raise ConfigurationError(
                f"features= names {counted(len(features), 'column')}, but {declared.location} takes {count}"
                f"{'' if known is None else ': ' + ', '.join(map(repr, list(known)[:20]))}."
            )
        by_name = known is not None and (features is None or set(features) == set(known))
        # By their names in any order, as the libraries themselves do; by their places if the names differ.
        self._columns = tuple(known or ()) if by_name else tuple(features or ())

    @property
    def reads(self) -> tuple[str, ...] | None:
        """See :attr:`.LoadedModel.reads`."""
        return self._columns

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """See :meth:`.LoadedModel.predict`."""
        import pandas as pd

        with predicting(self.version, frame):
            columns = self._answers(frame) if len(frame) else self._no_answers()
            return pd.DataFrame(columns, index=frame.index)

    def _answers(self, frame: "pd.DataFrame") -> dict[str, list[Any]]:
        """The columns for at least one record."""
        raise NotImplementedError

    def _no_answers(self) -> dict[str, list[Any]]:
        """The columns for no record."""
        return {"score": []} if self._names is None else {"label": []}

    def _told(self, values: "np.ndarray[Any, Any]") -> dict[str, list[Any]]:
        """Label and score from the probabilities of rows x classes, or scores from numbers."""
        if self._names is None:
            return scores(values)
        return classified(self._declared, values, self._names, model=self.version)

    def _features(self, frame: "pd.DataFrame") -> "list[tuple[str, pd.Series[Any]]]":
        """The features, in the model's order. Raises ConfigurationError if the source lacks any."""
        check_columns(frame, self._columns, version=self.version)
        return [(name, frame[name]) for name in self._columns]

    def _matrix(self, frame: "pd.DataFrame") -> "np.ndarray[Any, Any]":
        """The features as numbers, of rows x columns."""
        import numpy as np

        features = enumerate(self._features(frame))
        return np.column_stack([self._values(place, name, column) for place, (name, column) in features])

    def _values(self, place: int, name: str, column: "pd.Series[Any]") -> "np.ndarray[Any, Any]":  # noqa: ARG002
        """A feature as numbers. ``place``: that of the feature in the model."""
        return numbers(name, column, model=self.version)

    def _refuse_classes(self, what: str) -> None:
        """Raises ConfigurationError if the declaration speaks of classes, but the model gives ``what``."""
        for option in ("classes", "proba"):
            if getattr(self._declared, option) is not None:
                raise ConfigurationError(
                    f"{option}={getattr(self._declared, option)!r}, but {self._declared.location} gives {what}: leave "
                    f"{option}= out."
                )


def class_names(declared: TabularModel, count: int, stored: Sequence[Any] | None = None) -> tuple[str, ...]:
    """The names of ``count`` classes; ``stored``: those in the model's file.

    Raises ConfigurationError if the declaration names another number.
    """
    names = declared.classes
    if names is None:
        return tuple(map(str, range(count) if stored is None else stored))
    if len(names) != count:
        named = counted(len(names), "class", plural="classes")
        raise ConfigurationError(f"classes= names {named}, but {declared.location} knows {count}.")
    return tuple(names)


def classified(
    declared: TabularModel,
    shares: "np.ndarray[Any, Any]",
    names: Sequence[str],
    *,
    model: str,
    chosen: Sequence[int] | None = None,
) -> dict[str, list[Any]]:
    """Label and score, from the probabilities of rows x classes.

    ``chosen``: the place of each row's label, if it need not be that of the greatest probability.
    """
    places = shares.argmax(axis=1).tolist() if chosen is None else chosen
    labels: dict[str, list[Any]] = {"label": [names[place] for place in places]}
    return refused(labels | likelihoods(shares, places, names, proba=declared.proba, model=model), shares)


def of_two(share: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """The probabilities of both classes, from that of the second."""
    import numpy as np

    share = np.asarray(share, dtype=float).reshape(-1)
    return np.column_stack([1 - share, share])


def scores(values: "np.ndarray[Any, Any]") -> dict[str, list[Any]]:
    """Column ``score``, or ``score_0``, ``score_1``, … of a model with several outputs."""
    import numpy as np

    values = np.asarray(values, dtype=float)
    if values.ndim == 1 or values.shape[1] == 1:
        return refused({"score": values.reshape(-1).tolist()}, values)
    return refused({f"score_{index}": column.tolist() for index, column in enumerate(values.T)}, values)


def numbers(name: str, column: "pd.Series[Any]", *, model: str) -> "np.ndarray[Any, Any]":
    """A column as floats, NaN where it has no value. Raises ConfigurationError if its values are no numbers."""
    try:
        return column.astype("float64").to_numpy(na_value=float("nan"))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{model} reads column {name!r} as numbers, but the source gives {column.dtype} there ({clause(error)}): "
            "convert it in the source's sql, or set its type with dtypes=."
        ) from error


def places_of(
    name: str, column: "pd.Series[Any]", categories: Sequence[Any], *, refuses_others: bool
) -> "np.ndarray[Any, Any]":
    """The place of each value among the ``categories`` of the training, as floats; NaN where it has no value.

    A value that the training did not have counts as missing, or, with ``refuses_others``, raises ValueError.
    """
    import numpy as np
    import pandas as pd

    values = column.astype(object)
    places = pd.Index(list(categories), dtype=object).get_indexer(pd.Index(values, dtype=object))
    others = np.flatnonzero((places < 0) & values.notna().to_numpy())
    if refuses_others and len(others):
        value = values.iloc[others[0]]
        raise ValueError(f"column {name!r} holds {value!r}, which is none of the categories of the training")
    return np.where(places < 0, np.nan, places)

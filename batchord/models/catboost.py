"""CatBoost's models, in its own format."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from batchord.core.process.extras import Extra
from batchord.models.tabular import LoadedTabular, TabularModel, class_names, numbers

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class CatBoostModel(TabularModel):
    """A model that CatBoost wrote with ``save_model``. A classifier returns labels, all others scores.

    ``location`` is a ``.cbm`` file: a path, ``s3://bucket/key.cbm``, or a folder that holds exactly one. Columns of
    categories and of texts go to CatBoost as they are: it wants whole numbers or texts there, and refuses a record
    without a value.

    Args:
        location: Where the model is: a path, or ``s3://bucket/prefix``.
        text: Not for this kind, which reads columns of a table.
        empty: Not for this kind, as above.
        images: Not for this kind, as above.
        features: Columns for the model, in the order of its training; None means those whose names its file holds.
        classes: Names of a classifier's classes, in the order of their numbers; None: those in its file.
        proba: Which probability a classifier returns as ``score``, as in :class:`.SklearnModel`.
    """

    extra: ClassVar[Extra | None] = Extra.CATBOOST
    suffixes: ClassVar[frozenset[str]] = frozenset({".cbm"})
    written_by: ClassVar[str] = 'model.save_model("model.cbm")'

    def load(self, files: Path | None, version: str, *, threads: int, copied: bool) -> "LoadedCatBoost":  # noqa: ARG002
        """See the base class."""
        import catboost

        model = catboost.CatBoost()
        try:
            model.load_model(str(self.file_in(files)), format="cbm")
        except catboost.CatBoostError as error:
            raise self.unreadable(error) from error
        return LoadedCatBoost(self, version, model, threads=threads)


class LoadedCatBoost(LoadedTabular):
    """Implements :class:`.LoadedModel` for a CatBoost model: ``label`` and ``score``, or ``score`` alone."""

    def __init__(self, declared: CatBoostModel, version: str, model: Any, *, threads: int) -> None:
        names = model.feature_names_
        nameless = names == list(map(str, range(len(names))))
        super().__init__(declared, version, known=None if nameless else names, count=len(names))
        self._model = model
        self._threads = threads
        self._as_they_are = {
            "cat_features": list(model.get_cat_feature_indices()),
            "text_features": list(model.get_text_feature_indices()),
        }
        loss = str(model.get_all_params().get("loss_function", ""))
        # With several labels at once, each has a probability of its own.
        self._gives_shares = len(model.classes_) > 0
        if self._gives_shares and loss not in ("MultiLogloss", "MultiCrossEntropy"):
            self._names = class_names(declared, len(model.classes_), model.classes_)
        else:
            self._refuse_classes(f"numbers, not classes (its loss function is {loss})")

    def _answers(self, frame: "pd.DataFrame") -> dict[str, list[Any]]:
        kind = "Probability" if self._gives_shares else "RawFormulaVal"
        values = self._model.predict(self._pool(frame), prediction_type=kind, thread_count=self._threads)
        return self._told(values)

    def _pool(self, frame: "pd.DataFrame") -> Any:
        import catboost
        import pandas as pd

        as_they_are = {place for places in self._as_they_are.values() for place in places}
        columns = {
            place: _whole(name, column) if place in as_they_are else numbers(name, column, model=self.version)
            for place, (name, column) in enumerate(self._features(frame))
        }
        values = pd.DataFrame(columns).set_axis(self._model.feature_names_, axis="columns")
        return catboost.Pool(values, **self._as_they_are, thread_count=self._threads)


def _whole(name: str, column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Whole numbers again, where a missing value made them floats, as objects: CatBoost tells 4 from 4.0.

    Raises ValueError for a missing value.
    """
    if column.isna().any():
        raise ValueError(f"column {name!r} has no value, and CatBoost takes whole numbers or texts there")
    values = column.astype(object).reset_index(drop=True)
    return values.map(lambda value: int(value) if value.is_integer() else value) if column.dtype.kind == "f" else values

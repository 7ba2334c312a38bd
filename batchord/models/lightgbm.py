"""LightGBM's models, in its own format."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from batchord.core.errors import ConfigurationError
from batchord.core.process.extras import Extra
from batchord.core.text.counts import counted
from batchord.core.text.error_text import clause
from batchord.models.tabular import (
    LoadedTabular,
    TabularModel,
    class_names,
    of_two,
    places_of,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_UNNAMED = "Column_"


@dataclass(frozen=True)
class LightGBMModel(TabularModel):
    """A model that LightGBM wrote with ``save_model``. A classifier returns labels, all others scores.

    ``location`` is a ``.txt`` file: a path, ``s3://bucket/key.txt``, or a folder that holds exactly one. Columns of
    categories are read as the training read them; a category that it did not have counts as missing, as in LightGBM.

    Args:
        location: Where the model is: a path, or ``s3://bucket/prefix``.
        text: Not for this kind, which reads columns of a table.
        empty: Not for this kind, as above.
        images: Not for this kind, as above.
        features: Columns for the model, in the order of its training; None means those whose names its file holds.
        classes: Names of a classifier's classes, in the order of their numbers; None: the numbers.
        proba: Which probability a classifier returns as ``score``, as in :class:`.SklearnModel`.
    """

    extra: ClassVar[Extra | None] = Extra.LIGHTGBM
    suffixes: ClassVar[frozenset[str]] = frozenset({".txt"})
    written_by: ClassVar[str] = 'model.booster_.save_model("model.txt")'

    def load(self, files: Path | None, version: str, *, threads: int, copied: bool) -> "LoadedLightGBM":  # noqa: ARG002
        """See the base class."""
        try:
            import lightgbm
        except OSError as error:  # its wheels bring no OpenMP
            raise ConfigurationError(
                f"LightGBM cannot be imported here ({clause(error)}): install the library of the system that it needs, "
                "such as `apt-get install libgomp1`."
            ) from error

        file = self.file_in(files)
        try:
            booster = lightgbm.Booster(model_file=file)
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError, ValueError) as error:
            raise self.unreadable(error) from error
        return LoadedLightGBM(self, version, booster, threads=threads)


class LoadedLightGBM(LoadedTabular):
    """Implements :class:`.LoadedModel` for a booster: ``label`` and ``score``, or ``score`` alone."""

    def __init__(self, declared: LightGBMModel, version: str, booster: Any, *, threads: int) -> None:
        names = booster.feature_name()
        nameless = names == [f"{_UNNAMED}{place}" for place in range(len(names))]
        super().__init__(declared, version, known=None if nameless else names, count=len(names))
        self._booster = booster
        self._threads = threads
        dumped = booster.dump_model(num_iteration=1)
        self._objective = str(dumped.get("objective", "")).partition(" ")[0]
        self._categories = self._by_place(booster)
        if self._objective == "binary" or self._objective.startswith("multiclass"):
            self._names = class_names(declared, max(int(dumped["num_class"]), 2))
        else:
            objective = (
                f"its objective is {self._objective}" if self._objective else "its objective is its author's own"
            )
            self._refuse_classes(f"numbers, not classes ({objective})")

    @staticmethod
    def _by_place(booster: Any) -> dict[int, list[Any]]:
        """The categories that pandas had in the training, by the place of their column."""
        categories = booster.pandas_categorical or []
        if not categories:  # the training's own numbers of categories, if there are any
            return {}
        places = booster.params.get("categorical_feature") or []
        if len(categories) != len(places):
            raise ConfigurationError(
                f"The model names categories for {counted(len(categories), 'column')}, but {len(places)} hold some: "
                "train it with all of them of pandas' type category."
            )
        return dict(zip(sorted(places), categories, strict=True))

    def _answers(self, frame: "pd.DataFrame") -> dict[str, list[Any]]:
        values = self._booster.predict(self._matrix(frame), num_threads=self._threads)
        return self._told(of_two(values) if self._objective == "binary" else values)

    def _values(self, place: int, name: str, column: "pd.Series[Any]") -> "np.ndarray[Any, Any]":
        if place in self._categories:
            return places_of(name, column, self._categories[place], refuses_others=False)
        return super()._values(place, name, column)

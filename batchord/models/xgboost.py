"""XGBoost's models, in its own formats."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from batchord.core.errors import ConfigurationError
from batchord.core.process.extras import Extra
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

_CATEGORY = "c"


@dataclass(frozen=True)
class XGBoostModel(TabularModel):
    """A model that XGBoost wrote with ``save_model``. A classifier returns labels, all others scores.

    ``location`` is a ``.ubj`` or ``.json`` file: a path, ``s3://bucket/key.ubj``, or a folder that holds exactly one.
    After early stopping, the trees up to the best round predict, as they do in ``XGBClassifier``. Columns of categories
    are read as the training read them, which needs a file that XGBoost 3.1 or newer wrote.

    Args:
        location: Where the model is: a path, or ``s3://bucket/prefix``.
        text: Not for this kind, which reads columns of a table.
        empty: Not for this kind, as above.
        images: Not for this kind, as above.
        features: Columns for the model, in the order of its training; None means those whose names its file holds.
        classes: Names of a classifier's classes, in the order of their numbers; None: the numbers.
        proba: Which probability a classifier returns as ``score``, as in :class:`.SklearnModel`.
    """

    extra: ClassVar[Extra | None] = Extra.XGBOOST
    suffixes: ClassVar[frozenset[str]] = frozenset({".json", ".ubj"})
    written_by: ClassVar[str] = 'model.save_model("model.ubj")'

    def load(self, files: Path | None, version: str, *, threads: int, copied: bool) -> "LoadedXGBoost":  # noqa: ARG002
        """See the base class."""
        import xgboost

        booster = xgboost.Booster({"nthread": threads})
        try:
            booster.load_model(self.file_in(files))
        except xgboost.core.XGBoostError as error:
            raise self.unreadable(error) from error
        return LoadedXGBoost(self, version, booster, threads=threads)


class LoadedXGBoost(LoadedTabular):
    """Implements :class:`.LoadedModel` for a booster: ``label`` and ``score``, or ``score`` alone."""

    def __init__(self, declared: XGBoostModel, version: str, booster: Any, *, threads: int) -> None:
        super().__init__(declared, version, known=booster.feature_names, count=booster.num_features())
        self._booster = booster
        self._threads = threads
        self._types: Sequence[str] = booster.feature_types or ["float"] * booster.num_features()
        self._categories = _categories(booster) if _CATEGORY in self._types else {}
        best = booster.attr("best_iteration")
        self._rounds = (0, 0) if best is None else (0, int(best) + 1)
        learner = json.loads(booster.save_config())["learner"]
        self._objective = str(learner["objective"]["name"])
        count = int(learner["learner_model_param"]["num_class"])
        if self._is_binary or self._objective.startswith("multi:"):
            self._names = class_names(declared, max(count, 2))
            if declared.proba is not None and not self._has_shares:
                raise ConfigurationError(
                    f"proba={declared.proba!r}, but {declared.location} was trained with the objective "
                    f"{self._objective}, which gives no probabilities: leave proba= out."
                )
        else:
            self._refuse_classes(f"numbers, not classes (its objective is {self._objective})")

    @property
    def _is_binary(self) -> bool:
        return self._objective in ("binary:logistic", "binary:hinge")

    @property
    def _has_shares(self) -> bool:
        return self._objective in ("binary:logistic", "multi:softprob")

    def _answers(self, frame: "pd.DataFrame") -> dict[str, list[Any]]:
        values = self._booster.predict(self._fed(frame), iteration_range=self._rounds)
        if self._names is not None and not self._has_shares:
            return {"label": [self._names[int(place)] for place in values.reshape(-1)]}
        return self._told(of_two(values) if self._has_shares and self._is_binary else values)

    def _fed(self, frame: "pd.DataFrame") -> Any:
        import xgboost

        types = [_CATEGORY if kind == _CATEGORY else "float" for kind in self._types]
        return xgboost.DMatrix(
            self._matrix(frame),
            feature_names=self._booster.feature_names,
            feature_types=types if _CATEGORY in types else None,
            enable_categorical=True,
            nthread=self._threads,
        )

    def _values(self, place: int, name: str, column: "pd.Series[Any]") -> "np.ndarray[Any, Any]":
        if self._types[place] != _CATEGORY:
            return super()._values(place, name, column)
        if place in self._categories:
            return places_of(name, column, self._categories[place], refuses_others=True)
        if column.dtype.kind not in "iuf":
            raise ConfigurationError(
                f"{self._declared.location} does not hold the categories of column {name!r}: XGBoost writes them from "
                "3.1 on, for columns of pandas' type category. Train and save it with a newer XGBoost."
            )
        return super()._values(place, name, column)  # the training's own numbers of categories


def _categories(booster: Any) -> dict[int, list[Any]]:
    """The categories of the training by the place of their column, as far as the model holds them."""
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    found: dict[int, list[Any]] = {}
    for place, encoded in enumerate(_within(learner["gradient_booster"]).get("enc", ())):
        values = encoded.get("values", [])
        if "offsets" in encoded:  # texts, one after another, as signed bytes
            letters, ends = bytes(value & 255 for value in values), encoded["offsets"]
            values = [letters[start:end].decode() for start, end in pairwise(ends)]
        if values:
            found[place] = values
    return found


def _within(booster: dict[str, Any]) -> dict[str, Any]:
    """The part about categories: trees that drop others (DART) keep theirs one level deeper."""
    model = booster.get("model") or booster.get("gbtree", {}).get("model", {})
    found: dict[str, Any] = model.get("cats", {})
    return found

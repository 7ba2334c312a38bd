"""LightGBM's models predict as LightGBM does. Its wheels need the system's OpenMP."""

from collections.abc import Callable
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest

from batchord import LightGBMModel
from batchord.core.errors import ConfigurationError, ModelNotFound
from batchord.models.library import ModelLibrary
from batchord.storage.objects import Objects

Predict = Callable[[LightGBMModel, pd.DataFrame], pd.DataFrame]


@pytest.fixture
def predict(tmp_path: Path) -> Predict:
    """Predicts as a worker does."""
    library = ModelLibrary(home=tmp_path / "home", objects=Objects(endpoint_url="http://127.0.0.1:1"))

    def predicted(declared: LightGBMModel, frame: pd.DataFrame) -> pd.DataFrame:
        assert declared.problems() == []
        return library.load(declared, library.version(declared)).predict(frame)

    return predicted


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the test writes its model."""
    return tmp_path / "model.txt"


def _customers(rows: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(7)
    visits = random.normal(size=rows)
    visits[::9] = np.nan
    plan, level = random.choice(["basic", "plus", "pro"], rows), random.choice([10, 20, 30], rows)
    return pd.DataFrame({"visits": visits, "plan": plan, "level": level}, index=pd.RangeIndex(50, 50 + rows)).astype(
        {"plan": "str"}
    )


def _categories(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        plan=pd.Categorical(frame["plan"].where(frame["plan"] != "gold"), categories=["basic", "plus", "pro"]),
        level=pd.Categorical(frame["level"], categories=[10, 20, 30]),
    )


def _outcomes(frame: pd.DataFrame) -> "pd.Series[int]":
    return ((frame["visits"].fillna(1) + (frame["plan"] == "pro") - (frame["level"] == 20)) > 0.5).astype(int)


def test_categories_and_gaps(predict: Predict, file: Path) -> None:
    """They are read as in the training, alone as among others. An unknown category counts as missing, as there."""
    frame = _customers()
    fitted = lightgbm.LGBMClassifier(n_estimators=8, verbose=-1, n_jobs=1).fit(_categories(frame), _outcomes(frame))
    fitted.booster_.save_model(file)
    declared = LightGBMModel(str(file), classes=["stays", "leaves"], proba="leaves")
    records = frame.head(20).copy()
    records.loc[[52], "plan"] = "gold"
    records = records.astype({"level": "float64"})
    records.loc[[53], "level"] = np.nan

    answers = predict(declared, records[["level", "visits", "plan"]])

    expected = fitted.predict_proba(_categories(records))
    assert answers["score"].tolist() == pytest.approx(expected[:, 1])
    assert answers["label"].tolist() == [["stays", "leaves"][place] for place in expected.argmax(axis=1)]
    for key in records.index[:5]:
        assert predict(declared, records.loc[[key]])["score"].tolist() == pytest.approx([answers["score"][key]])


def test_several_classes_and_numbers(predict: Predict, file: Path) -> None:
    """A classifier of three classes, a regressor, and one that was trained on an array."""
    frame = _customers()[["visits", "level"]]
    classes = np.arange(len(frame)) % 3
    several = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(frame, classes)
    several.booster_.save_model(file)
    answers = predict(LightGBMModel(str(file)), frame)
    assert answers["label"].tolist() == list(map(str, several.predict(frame)))
    assert answers["score"].tolist() == pytest.approx(several.predict_proba(frame).max(axis=1))

    numbers = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1, n_jobs=1).fit(frame.to_numpy(), frame["level"])
    numbers.booster_.save_model(file)
    answers = predict(LightGBMModel(str(file), features=["visits", "level"]), frame)
    assert list(answers.columns) == ["score"]
    assert answers["score"].tolist() == pytest.approx(numbers.booster_.predict(frame.to_numpy()))
    with pytest.raises(ConfigurationError, match="trained without names of its 2 columns"):
        predict(LightGBMModel(str(file)), frame)
    with pytest.raises(ConfigurationError, match=r"gives numbers, not classes \(its objective is regression\)"):
        predict(LightGBMModel(str(file), features=["visits", "level"], classes=["a", "b"]), frame)


def test_numbers_of_categories_are_taken_as_they_are(predict: Predict, file: Path) -> None:
    """A training that named such columns, instead of giving them pandas' type, had its own numbers there."""
    frame = _customers()[["visits", "level"]]
    fitted = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1, n_jobs=1)
    fitted.fit(frame, frame["level"], categorical_feature=["level"])
    fitted.booster_.save_model(file)

    answers = predict(LightGBMModel(str(file)), frame)

    assert answers["score"].tolist() == pytest.approx(fitted.predict(frame))


def test_a_damaged_file_is_named(predict: Predict, file: Path) -> None:
    """With how to write it anew."""
    file.write_text("tree\nversion=v4\n")

    with pytest.raises(ModelNotFound, match=r"cannot be read as a model .* model\.booster_\.save_model"):
        predict(LightGBMModel(str(file)), _customers())


def test_nothing_is_printed(predict: Predict, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its own notes about parameters would stand in each shard's log."""
    frame = _customers()[["visits", "level"]]
    lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(frame, frame["level"]).booster_.save_model(file)
    capfd.readouterr()

    predict(LightGBMModel(str(file)), frame)

    assert capfd.readouterr() == ("", "")

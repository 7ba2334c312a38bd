"""XGBoost's and CatBoost's models predict as their libraries do, from the files that these write."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pandas as pd
import pytest
import xgboost

from batchord import CatBoostModel, XGBoostModel
from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.errors import ConfigurationError, ModelError, ModelNotFound
from batchord.models.tabular import TabularModel


@pytest.fixture
def predict(load: Callable[[TabularModel], LoadedModel]) -> Callable[[TabularModel, pd.DataFrame], pd.DataFrame]:
    """Predicts as a worker does."""

    def predicted(declared: TabularModel, frame: pd.DataFrame) -> pd.DataFrame:
        assert declared.problems() == []
        return load(declared).predict(frame)

    return predicted


def _customers(rows: int = 200) -> pd.DataFrame:
    """Numbers with gaps, whole numbers and a category, as a source gives them; and the outcome of each."""
    random = np.random.default_rng(7)
    visits = random.normal(size=rows)
    visits[::9] = np.nan
    plan = random.choice(["basic", "plus", "pro"], rows)
    frame = pd.DataFrame({"visits": visits, "age in days": random.integers(0, 50, rows), "plan": plan})
    return frame.astype({"plan": "str"}).set_index(pd.RangeIndex(100, 100 + rows, name="id"))


def _outcomes(frame: pd.DataFrame) -> "pd.Series[int]":
    return ((frame["visits"].fillna(1) + (frame["plan"] == "pro")) > 0.5).astype(int)


def _categories(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(plan=pd.Categorical(frame["plan"], categories=["basic", "plus", "pro"]))


def _assert_answers(answers: pd.DataFrame, shares: Any, names: list[str]) -> None:
    assert answers["label"].tolist() == [names[place] for place in shares.argmax(axis=1)]
    assert answers["score"].tolist() == pytest.approx(shares.max(axis=1), abs=1e-6)


def test_xgboost_with_categories_and_early_stopping(
    predict: Callable[[TabularModel, pd.DataFrame], pd.DataFrame], tmp_path: Path
) -> None:
    """Gaps and categories are read as in the training, and rounds after the best one do not count."""
    frame = _customers()
    outcomes = _outcomes(frame)
    fitted = xgboost.XGBClassifier(
        n_estimators=40, learning_rate=1.0, enable_categorical=True, early_stopping_rounds=3, n_jobs=1, random_state=1
    )
    noise = np.random.default_rng(3).integers(0, 2, len(frame))
    fitted.fit(_categories(frame), outcomes, eval_set=[(_categories(frame), noise)], verbose=False)
    fitted.save_model(tmp_path / "model.ubj")
    shares = fitted.predict_proba(_categories(frame))
    assert fitted.get_booster().num_boosted_rounds() > fitted.best_iteration + 1

    answers = predict(XGBoostModel(str(tmp_path / "model.ubj")), frame)
    named = predict(XGBoostModel(str(tmp_path / "model.ubj"), classes=["stays", "leaves"], proba="leaves"), frame)

    _assert_answers(answers, shares, ["0", "1"])
    assert set(named["label"]) == {"stays", "leaves"}
    assert named["score"].tolist() == pytest.approx(shares[:, 1], abs=1e-6)
    assert answers.index.equals(frame.index)


def test_a_record_is_predicted_alike_alone_and_among_others(
    predict: Callable[[TabularModel, pd.DataFrame], pd.DataFrame], tmp_path: Path
) -> None:
    """Also one without a value for its category, or with columns in another order."""
    frame = _customers()
    fitted = xgboost.XGBClassifier(n_estimators=5, enable_categorical=True, n_jobs=1)
    fitted.fit(_categories(frame), _outcomes(frame))
    fitted.save_model(tmp_path / "model.json")
    declared = XGBoostModel(str(tmp_path / "model.json"))
    records = frame.head(6).copy()
    records.loc[[102], "plan"] = None

    together = predict(declared, records)

    for key in records.index:
        alone = predict(declared, records.loc[[key], ["plan", "age in days", "visits"]])
        assert alone["score"].tolist() == pytest.approx([together["score"][key]])


def test_a_category_that_the_training_did_not_have_costs_its_record(
    predict: Callable[[TabularModel, pd.DataFrame], pd.DataFrame], tmp_path: Path
) -> None:
    """The error names column and value. XGBoost itself refuses such a frame, too."""
    frame = _customers()
    xgboost.XGBClassifier(n_estimators=2, enable_categorical=True).fit(_categories(frame), _outcomes(frame)).save_model(
        tmp_path / "model.ubj"
    )

    with pytest.raises(ModelError, match="column 'plan' holds 'gold', which is none of the categories"):
        predict(XGBoostModel(str(tmp_path / "model.ubj")), frame.assign(plan="gold"))


@pytest.mark.parametrize("objective", ["multi:softprob", "multi:softmax"])
def test_xgboost_with_several_classes(
    predict: Callable[[TabularModel, pd.DataFrame], pd.DataFrame], tmp_path: Path, objective: str
) -> None:
    """With probabilities, or with labels alone."""
    frame = _customers()[["visits", "age in days"]]
    matrix = xgboost.DMatrix(frame, label=np.arange(len(frame)) % 3)
    booster = xgboost.train({"objective": objective, "num_class": 3, "nthread": 1}, matrix, 3)
    booster.save_model(tmp_path / "model.ubj")
    classes = ["low", "middle", "high"]

    answers = predict(XGBoostModel(str(tmp_path / "model.ubj"), classes=classes), frame)

    expected = booster.predict(matrix)
    if objective == "multi:softprob":
        _assert_answers(answers, expected, classes)
    else:
        assert list(answers.columns) == ["label"]
        assert answers["label"].tolist() == [classes[int(place)] for place in expected]


def test_xgboost_over_columns_without_names(
    predict: Callable[[TabularModel, pd.DataFrame], pd.DataFrame], tmp_path: Path
) -> None:
    """A training on an array knows only their order, so the author names them."""
    frame = _customers()[["visits", "age in days"]]
    fitted = xgboost.XGBRegressor(n_estimators=3, n_jobs=1).fit(frame.to_numpy(), frame["age in days"])
    fitted.save_model(tmp_path / "model.ubj")
    location = str(tmp_path / "model.ubj")

    answers = predict(XGBoostModel(location, features=["visits", "age in days"]), frame[["age in days", "visits"]])

    assert list(answers.columns) == ["score"]
    assert answers["score"].tolist() == pytest.approx(fitted.predict(frame.to_numpy()))
    with pytest.raises(ConfigurationError, match="trained without names of its 2 columns: name them in features="):
        predict(XGBoostModel(location), frame)
    with pytest.raises(ConfigurationError, match=r"features= names 1 column, but .* takes 2"):
        predict(XGBoostModel(location, features=["visits"]), frame)
    with pytest.raises(ConfigurationError, match=r"classes=.* gives numbers, not classes \(its objective is reg:"):
        predict(XGBoostModel(location, features=["visits", "age in days"], classes=["a", "b"]), frame)


def test_catboost_with_categories(
    predict: Callable[[TabularModel, pd.DataFrame], pd.DataFrame], tmp_path: Path
) -> None:
    """It knows its classes. A record without a category is refused, as CatBoost does, and costs only itself."""
    frame = _customers()
    outcomes = _outcomes(frame).map({0: "stays", 1: "leaves"})
    fitted = catboost.CatBoostClassifier(
        iterations=5, cat_features=["plan", "age in days"], verbose=0, thread_count=1, allow_writing_files=False
    )
    fitted.fit(frame, outcomes)
    fitted.save_model(str(tmp_path / "model.cbm"))
    declared = CatBoostModel(str(tmp_path / "model.cbm"))

    answers = predict(declared, frame)
    as_floats = predict(declared, frame.astype({"age in days": "float64"}))  # as where a column has a NULL

    _assert_answers(answers, fitted.predict_proba(frame), list(fitted.classes_))
    pd.testing.assert_frame_equal(as_floats, answers)
    with pytest.raises(ModelError, match="column 'plan' has no value, and CatBoost takes whole numbers or texts"):
        predict(declared, frame.head(1).assign(plan=None))


@pytest.mark.parametrize("loss", ["RMSE", "MultiRMSE"])
def test_catboost_with_numbers(
    predict: Callable[[TabularModel, pd.DataFrame], pd.DataFrame], tmp_path: Path, loss: str
) -> None:
    """One score, or one for each output."""
    frame = _customers()[["visits", "age in days"]]
    wanted = frame["age in days"] if loss == "RMSE" else frame[["age in days", "age in days"]]
    fitted = catboost.CatBoostRegressor(
        iterations=3, loss_function=loss, verbose=0, thread_count=1, allow_writing_files=False
    ).fit(frame, wanted)
    fitted.save_model(str(tmp_path / "model.cbm"))

    answers = predict(CatBoostModel(str(tmp_path / "model.cbm")), frame)

    expected = np.asarray(fitted.predict(frame)).reshape(len(frame), -1)
    assert list(answers.columns) == (["score"] if loss == "RMSE" else ["score_0", "score_1"])
    assert answers.to_numpy() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        (XGBoostModel("m.ubj", text="body"), "text= is given, but a XGBoostModel reads columns of a table"),
        (XGBoostModel("m.ubj", features=[]), "features=(): give a list of texts"),
        (CatBoostModel("m.cbm", classes=[1, 2]), "classes=(1, 2): give a list of texts"),  # type: ignore[list-item]
    ],
)
def test_problems_of_declarations(declared: TabularModel, sentence: str) -> None:
    """They say what is wrong before anything is loaded."""
    assert any(problem.startswith(sentence) for problem in declared.problems()), declared.problems()


@pytest.mark.parametrize(
    ("kind", "name"), [(XGBoostModel, "m.ubj"), (XGBoostModel, "m.json"), (CatBoostModel, "m.cbm")]
)
def test_a_damaged_file_is_named(
    predict: Callable[[TabularModel, pd.DataFrame], pd.DataFrame], tmp_path: Path, kind: type[TabularModel], name: str
) -> None:
    """With how to write it anew, and in one line."""
    (tmp_path / name).write_bytes(b"{L\0\0\0 nonsense")

    with pytest.raises(
        ModelNotFound, match=r"^[^\n]* cannot be read as a model [^\n]* Write it anew: model\.save_model"
    ):
        predict(kind(str(tmp_path / name)), _customers())


def test_texts_where_the_model_takes_numbers_are_named(
    predict: Callable[[TabularModel, pd.DataFrame], pd.DataFrame], tmp_path: Path
) -> None:
    """It concerns all records, so it is no matter of one of them."""
    frame = _customers()[["visits", "age in days"]]
    xgboost.XGBRegressor(n_estimators=2).fit(frame, frame["age in days"]).save_model(tmp_path / "model.ubj")

    with pytest.raises(ConfigurationError, match="reads column 'visits' as numbers, but the source gives str there"):
        predict(
            XGBoostModel(str(tmp_path / "model.ubj")), frame.assign(visits=pd.Series("many", frame.index, dtype="str"))
        )
    with pytest.raises(ConfigurationError, match=r"needs columns \['visits'\]"):
        predict(XGBoostModel(str(tmp_path / "model.ubj")), frame.drop(columns="visits"))

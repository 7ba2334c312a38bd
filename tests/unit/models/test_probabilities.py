"""Which probability a classifier gives: of the label that won, of one class, of all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from batchord import Images, Model, SklearnModel, TransformersImage, TransformersText
from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.errors import ConfigurationError
from batchord.models.library import ModelLibrary
from batchord.storage.objects import Objects
from tests.contracts import small_models
from tests.unit.models.test_transformers import change, texts

pytestmark = pytest.mark.torch

Load = Callable[[Model], LoadedModel]
FRAME = pd.DataFrame({"x": [9.0, 0.0, 5.0, 4.0, 1.0], "y": [0.0, 1.0, 0.0, 2.0, 2.0]})
CLASSES = ["stay", "churn", "maybe", "stay", "churn"]


@pytest.fixture
def output(load: Load, tmp_path: Path) -> Callable[..., pd.DataFrame]:
    """Stores an estimator and predicts the frame with it."""

    def output(estimator: Any, **declared: Any) -> pd.DataFrame:
        small_models.save_estimator(tmp_path / "m.skops", estimator)
        return load(SklearnModel(str(tmp_path / "m.skops"), **declared)).predict(FRAME)

    return output


def regression() -> Any:
    """A classifier of three classes that are not in alphabetical order of their rows."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(FRAME, CLASSES)


def test_the_score_may_be_the_probability_of_a_class(output: Callable[..., pd.DataFrame]) -> None:
    """Sorting by it finds the likely churners, whichever label was chosen."""
    found = output(regression(), proba="churn")

    assert found["label"].tolist() == regression().predict(FRAME).tolist()
    assert found["score"].tolist() == pytest.approx(regression().predict_proba(FRAME)[:, 0])
    assert set(found.columns) == {"label", "score"}


def test_all_probabilities_stand_beside_that_of_the_label(output: Callable[..., pd.DataFrame]) -> None:
    """By the classes' names, as their labels are written."""
    found = output(regression(), proba="all")

    expected = regression().predict_proba(FRAME)
    assert found["score"].tolist() == pytest.approx(expected.max(axis=1))
    assert pd.DataFrame(found["proba"].tolist())[["churn", "maybe", "stay"]].to_numpy() == pytest.approx(expected)


def test_classes_that_are_numbers_are_named_as_their_labels(output: Callable[..., pd.DataFrame]) -> None:
    """Class 1 is ``"1"``."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression().fit(FRAME, [0, 1, 0, 0, 1])

    assert output(fitted, proba="1")["score"].tolist() == pytest.approx(fitted.predict_proba(FRAME)[:, 1])


def test_a_class_that_is_unknown_is_named_with_those_that_are(output: Callable[..., pd.DataFrame]) -> None:
    """A typing error must not become a score."""
    with pytest.raises(ConfigurationError, match=r"proba='Churn', but .* knows the classes 'churn', 'maybe', 'stay'"):
        output(regression(), proba="Churn")


def test_probabilities_that_nobody_knows_are_refused(output: Callable[..., pd.DataFrame]) -> None:
    """That is for regressors and for classifiers that only have a border. The error says what to do instead."""
    from sklearn.linear_model import LinearRegression
    from sklearn.svm import LinearSVC

    for estimator in (LinearRegression().fit(FRAME, FRAME["x"]), LinearSVC().fit(FRAME, CLASSES)):
        with pytest.raises(ConfigurationError, match="gives no probabilities: leave proba= out, or fit it within a"):
            output(estimator, proba="all")


@pytest.mark.parametrize("wrapped", ["plain", "pipeline", "search", "nested", "frozen"])
@pytest.mark.parametrize("classes", [3, 4])
def test_the_margin_of_one_against_one_is_the_labels(
    output: Callable[..., pd.DataFrame], wrapped: str, classes: int
) -> None:
    """One number for each pair of classes, as many as classes where these are three: none of them is a label's."""
    from sklearn.frozen import FrozenEstimator
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    rng = np.random.default_rng(3)
    names = list("abcd")[:classes]
    labels = [name for name in names for _ in range(10)]
    values = pd.DataFrame(rng.normal(size=(len(labels), 2)), columns=["x", "y"])
    values["x"] += np.repeat(np.arange(classes) * 3, 10)
    pairs, rest = (SVC(decision_function_shape=shape) for shape in ("ovo", "ovr"))
    wrap: dict[str, Callable[[Any], Any]] = {
        "plain": lambda svc: svc,
        "pipeline": lambda svc: make_pipeline(StandardScaler(), svc),
        "search": lambda svc: GridSearchCV(svc, {"C": [1.0]}, cv=2),
        "nested": lambda svc: GridSearchCV(make_pipeline(StandardScaler(), svc), {"svc__C": [1.0]}, cv=2),
        "frozen": lambda svc: FrozenEstimator(svc.fit(values, labels)),
    }
    fitted, other = (wrap[wrapped](svc).fit(values, labels) for svc in (pairs, rest))

    found = output(
        fitted,
        trusted=["sklearn.metrics._scorer._PassthroughScorer", "sklearn.model_selection._split.StratifiedKFold"],
    )

    assert found["label"].tolist() == fitted.predict(FRAME).tolist()
    assert found["margin"].tolist() == pytest.approx(other.decision_function(FRAME).max(axis=1))


def test_several_labels_that_were_fitted_sparse_are_labels(output: Callable[..., pd.DataFrame]) -> None:
    """Their predictions come sparse; each label has a probability of its own, where it is asked for."""
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    wanted = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1]])
    fitted = OneVsRestClassifier(LogisticRegression()).fit(FRAME, csr_matrix(wanted))
    labels = pd.DataFrame(fitted.predict(FRAME).toarray()).astype(str)

    plain, one, every = (output(fitted, proba=proba) for proba in (None, "1", "all"))

    assert list(plain.columns) == ["label_0", "label_1", "label_2"]
    shares = fitted.predict_proba(FRAME)
    for place in range(3):
        assert plain[f"label_{place}"].tolist() == labels[place].tolist()
        assert one[f"score_{place}"].tolist() == pytest.approx(shares[:, place])
        assert [each["1"] for each in every[f"proba_{place}"]] == pytest.approx(shares[:, place])


def test_each_of_several_outputs_has_its_own_classes(output: Callable[..., pd.DataFrame]) -> None:
    """As a forest of two targets gives them."""
    from sklearn.ensemble import RandomForestClassifier

    targets = pd.DataFrame({"a": ["u", "v", "u", "v", "u"], "b": ["p", "q", "r", "p", "q"]})
    fitted = RandomForestClassifier(5, random_state=0).fit(FRAME, targets)

    found = output(fitted, proba="all", trusted=["sklearn.tree._tree.Tree"])

    assert set(found["proba_0"].iloc[0]) == {"u", "v"}
    assert set(found["proba_1"].iloc[0]) == {"p", "q", "r"}
    assert found["score_0"].tolist() == pytest.approx(fitted.predict_proba(FRAME)[0].max(axis=1))


def test_a_text_models_probabilities(load: Load, tmp_path: Path) -> None:
    """One class, or all, which add up to one."""
    folder = small_models.save_text_classifier(tmp_path / "m")
    frame = texts("good film", "awful", "very poor book")

    plain, good, every = (
        load(TransformersText(str(folder), text="body", proba=proba)).predict(frame) for proba in (None, "good", "all")
    )

    assert good["label"].tolist() == every["label"].tolist() == plain["label"].tolist()
    assert every["score"].tolist() == plain["score"].tolist()
    assert [each["good"] for each in every["proba"]] == pytest.approx(good["score"].tolist())
    assert [sum(each.values()) for each in every["proba"]] == pytest.approx([1.0] * 3, abs=1e-5)


def test_a_picture_models_probabilities(load: Load, tmp_path: Path) -> None:
    """As of texts."""
    folder = small_models.save_image_classifier(tmp_path / "m")
    images = Images(column="photo", allow=["s3://photos/"])
    frame = pd.DataFrame({"photo": [Image.new("RGB", (40, 40), color) for color in ("red", "white")]})

    dog, every = (load(TransformersImage(str(folder), images=images, proba=p)).predict(frame) for p in ("dog", "all"))

    assert [each["dog"] for each in every["proba"]] == pytest.approx(dog["score"].tolist())


@pytest.mark.parametrize("proba", ["Good", "all", "same"])
def test_names_that_name_no_class_are_refused_at_load(load: Load, tmp_path: Path, proba: str) -> None:
    """An unknown one, and one that two classes share."""
    folder = small_models.save_text_classifier(tmp_path / "m")
    if proba != "Good":
        change(folder, "config.json", id2label={"0": "same", "1": "same"})

    with pytest.raises(ConfigurationError, match=rf"proba='{proba}'"):
        load(TransformersText(str(folder), text="body", proba=proba))


def test_a_model_of_numbers_has_no_probabilities(load: Load, tmp_path: Path) -> None:
    """At load, not in the middle of a run."""
    folder = small_models.save_text_classifier(tmp_path / "m")
    change(folder, "config.json", problem_type="regression")

    with pytest.raises(ConfigurationError, match="returns numbers, not classes: leave proba= out"):
        load(TransformersText(str(folder), text="body", proba="all"))


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (SklearnModel("m.skops", proba=1), "proba=1 must be a text: give 'all', or a class as its label is written"),  # type: ignore[arg-type]
        (SklearnModel("m.skops", proba=""), "proba='' must be a text"),
        (TransformersText("m", text="body", task="embed", proba="all"), "proba='all' with task='embed'"),
    ],
)
def test_a_declaration_that_cannot_work_says_so(declared: Model, said: str) -> None:
    """Before anything is loaded."""
    (problem,) = declared.problems()
    assert problem.startswith(said)


def test_what_proba_asks_for_is_a_part_of_the_version(tmp_path: Path) -> None:
    """Other scores are other predictions. Without ``proba=`` the version is as before."""
    file = str(small_models.save_estimator(tmp_path / "m.skops", regression()))
    library = ModelLibrary(home=tmp_path / "home", objects=Objects())

    versions = [library.version(SklearnModel(file, proba=proba)) for proba in (None, "all", "churn")]

    assert len(set(versions)) == 3
    assert "+" not in versions[0]

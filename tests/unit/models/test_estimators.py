"""What is particular to scikit-learn models: their columns, and what is refused."""

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batchord import Model, SklearnModel
from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.errors import ConfigurationError, ModelNotFound
from tests.contracts import small_models

Load = Callable[[Model], LoadedModel]


def test_a_classifier_without_probabilities_gives_a_margin(load: Load, tmp_path: Path) -> None:
    """A distance is not a probability and is not given as one."""
    from sklearn.svm import LinearSVC

    frame = pd.DataFrame({"x": [-2.0, -1.0, 1.0, 3.0]})
    small_models.save_estimator(tmp_path / "svc.skops", LinearSVC().fit(frame, ["no", "no", "yes", "yes"]))

    output = load(SklearnModel(str(tmp_path / "svc.skops"))).predict(frame)

    assert output["label"].tolist() == ["no", "no", "yes", "yes"]
    assert "score" not in output
    assert (output["margin"] > 0).all()


def test_the_score_is_the_labels_probability(load: Load, tmp_path: Path) -> None:
    """With three classes that are not in alphabetical order of their rows."""
    from sklearn.linear_model import LogisticRegression

    frame = pd.DataFrame({"x": [9.0, 0.0, 5.0], "y": [0.0, 1.0, 0.0]})
    fitted = LogisticRegression().fit(frame, [30, 10, 20])
    small_models.save_estimator(tmp_path / "m.skops", fitted)

    output = load(SklearnModel(str(tmp_path / "m.skops"))).predict(frame)

    assert output["label"].tolist() == ["30", "10", "20"]
    assert output["score"].tolist() == pytest.approx(fitted.predict_proba(frame).max(axis=1))


def test_a_transformer_without_a_state_needs_no_fitted_attributes(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline is called as its own predict calls it: each transformer's transform, whatever it says of itself."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    stateless = import_module("stateless")
    frame = pd.DataFrame({"x": [9.0, 0.0, 5.0], "y": [0.0, 1.0, 0.0]})
    fitted = make_pipeline("passthrough", stateless.Tripled(), LogisticRegression()).fit(frame, ["a", "b", "a"])
    small_models.save_estimator(tmp_path / "m.skops", fitted)

    output = load(SklearnModel(str(tmp_path / "m.skops"), trusted=["stateless.Tripled"])).predict(frame)

    assert output["label"].tolist() == fitted.predict(frame).tolist()
    assert output["score"].tolist() == fitted.predict_proba(frame).max(axis=1).tolist()


def test_a_clusterer_gives_labels_and_takes_arrays(load: Load, tmp_path: Path) -> None:
    """Fitted on an array, it knows columns by their places and must not complain of names."""
    from sklearn.cluster import KMeans

    values = np.array([[0.0], [0.1], [9.0]])
    small_models.save_estimator(tmp_path / "k.skops", KMeans(2, random_state=0, n_init=1).fit(values))

    labels = load(SklearnModel(str(tmp_path / "k.skops"), features=("x",))).predict(pd.DataFrame(values, columns=["x"]))

    assert labels["label"].iloc[0] == labels["label"].iloc[1] != labels["label"].iloc[2]


def test_several_outputs_are_several_columns(load: Load, tmp_path: Path) -> None:
    """A regressor of two numbers."""
    from sklearn.linear_model import LinearRegression

    frame = pd.DataFrame({"x": [0.0, 1.0]})
    small_models.save_estimator(tmp_path / "m.skops", LinearRegression().fit(frame, [[0, 5], [1, 7]]))

    output = load(SklearnModel(str(tmp_path / "m.skops"))).predict(frame)

    assert output["score_1"].tolist() == pytest.approx([5, 7])


def test_fitted_names_choose_the_columns(load: Load, tmp_path: Path) -> None:
    """Others, and their order, do not matter; one that is absent is named."""
    small_models.save_sklearn_regressor(tmp_path / "m.skops")
    model = load(SklearnModel(str(tmp_path / "m.skops"), trusted=("sklearn.tree._tree.Tree",)))
    frame = pd.DataFrame({"extra": ["a"], "area": [2.0], "rooms": [3.0]})

    assert model.predict(frame).equals(model.predict(frame[["rooms", "area"]]))
    with pytest.raises(ConfigurationError, match=r"needs columns \['area'\]"):
        model.predict(frame[["rooms"]])


def test_types_that_are_not_trusted_are_listed(load: Load, tmp_path: Path) -> None:
    """With the line to add."""
    small_models.save_sklearn_regressor(tmp_path / "m.skops")

    with pytest.raises(ConfigurationError, match=r"trusted=\['sklearn\.tree\._tree\.Tree'\]"):
        load(SklearnModel(str(tmp_path / "m.skops")))


@pytest.mark.parametrize("name", ["__main__.add_ratio", "__main__.<lambda>", "mylib.make.<locals>.inner"])
def test_what_a_notebook_defined_can_be_trusted_by_nobody(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Adding it to trusted= would only lead to the next error."""
    small_models.save_sklearn_regressor(tmp_path / "m.skops")
    monkeypatch.setattr("skops.io.get_untrusted_types", lambda **_: ["mylib.twice", name])

    with pytest.raises(ConfigurationError, match=r"defined in a notebook.*: move it from .* into a module"):
        load(SklearnModel(str(tmp_path / "m.skops"), trusted=["mylib.twice"]))


def test_what_is_no_skops_file_is_refused(load: Load, tmp_path: Path) -> None:
    """A download cut short, and an estimator that predicts nothing."""
    from sklearn.preprocessing import StandardScaler

    (tmp_path / "cut.skops").write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelNotFound, match=r"cut\.skops is not a complete \.skops file"):
        load(SklearnModel(str(tmp_path / "cut.skops")))
    small_models.save_estimator(tmp_path / "s.skops", StandardScaler().fit([[1.0], [2.0]]))
    with pytest.raises(ConfigurationError, match="StandardScaler, which has no predict"):
        load(SklearnModel(str(tmp_path / "s.skops")))


def test_no_torch_comes_with_an_estimator(tmp_path: Path) -> None:
    """A process of its own that loads one and predicts has no torch in memory, and may import it afterwards."""
    file = small_models.save_sklearn_regressor(tmp_path / "m.skops")
    program = f"""
import sys
from pathlib import Path
import pandas as pd
from batchord.models.library import ModelLibrary
from batchord.storage.objects import Objects
from batchord import SklearnModel

library = ModelLibrary(home=Path({str(tmp_path)!r}), objects=Objects())
declared = SklearnModel({str(file)!r}, trusted=("sklearn.tree._tree.Tree",))
model = library.load(declared, library.version(declared))
assert len(model.predict(pd.DataFrame({{"rooms": [1.0], "area": [2.0]}}))) == 1
assert "torch" not in sys.modules
import sklearn.externals.array_api_compat.torch
"""
    subprocess.run([sys.executable, "-c", program], check=True)

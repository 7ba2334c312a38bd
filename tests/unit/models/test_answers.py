"""An answer that is none is refused, and a text's answer does not depend on its company."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from batchord import Images, Model, SklearnModel, TransformersImage, TransformersText
from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.run.predictions import Batch
from batchord.flow.predict.outputs import to_batch
from batchord.models.estimator_outputs import output_columns
from tests.contracts import small_models
from tests.unit.models.test_transformers import change, texts

pytestmark = pytest.mark.torch

Load = Callable[[Model], LoadedModel]
NAN = float("nan")


def batch(model: LoadedModel, frame: pd.DataFrame) -> Batch:
    """The batch that would be written for a frame."""
    return to_batch(frame, model.predict(frame), [0] * len(frame), [])


def reasons(batch: Batch) -> dict[Any, str]:
    """Why records are rejected, by key."""
    return {rejection.key: rejection.reason for rejection in batch.rejections}


def spoil(folder: Path, ending: str, value: float = NAN) -> None:
    """Writes a value into all weights whose names have this ending."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    for name, weight in weights.items():
        if name.endswith(ending):
            weight.fill_(value)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("problem", [None, "multi_label_classification", "regression"])
@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_logits_that_are_no_numbers_are_no_label(load: Load, tmp_path: Path, problem: str | None, value: float) -> None:
    """The first label would win by being the first."""
    folder = small_models.save_text_classifier(tmp_path / "m")
    change(folder, "config.json", problem_type=problem)
    spoil(folder, "classifier.weight", value)

    found = batch(load(TransformersText(str(folder), text="body")), texts("good film", "awful"))

    assert reasons(found) == {0: "not-finite", 1: "not-finite"}
    assert found.predictions.keys == []


def test_a_label_beside_which_another_is_no_number_is_none(load: Load, tmp_path: Path) -> None:
    """One output of two is NaN, so it is unknown which would have been greater."""
    from safetensors.torch import load_file, save_file

    folder = small_models.save_text_classifier(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][1] = NAN
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    change(folder, "config.json", problem_type="multi_label_classification")

    for proba in (None, "bad", "all"):
        model = load(TransformersText(str(folder), text="body", proba=proba))
        assert reasons(batch(model, texts("good film"))) == {0: "not-finite"}


def test_vectors_that_are_no_numbers_are_no_embeddings(load: Load, tmp_path: Path) -> None:
    """They would be stored as lists of nulls."""
    folder = small_models.save_text_embedder(tmp_path / "m")
    spoil(folder, "output.LayerNorm.weight")

    found = batch(load(TransformersText(str(folder), text="body", task="embed")), texts("good film", "awful"))

    assert reasons(found) == {0: "not-finite", 1: "not-finite"}


@pytest.mark.parametrize("task", ["classify", "embed"])
def test_pictures_as_well(load: Load, tmp_path: Path, task: Any) -> None:
    """The same for both tasks."""
    save = small_models.save_image_embedder if task == "embed" else small_models.save_image_classifier
    folder = save(tmp_path / "m")
    spoil(folder, "layernorm.weight" if task == "embed" else "classifier.weight")
    images = Images(column="photo", allow=["s3://photos/"])

    model = load(TransformersImage(str(folder), images=images, task=task))
    found = batch(model, pd.DataFrame({"photo": [Image.new("RGB", (40, 40))]}))

    assert reasons(found) == {0: "not-finite"}


def test_a_record_that_an_estimator_has_no_numbers_for_costs_itself_alone(load: Load, tmp_path: Path) -> None:
    """Of probabilities as of several outputs of a regressor."""
    from sklearn.linear_model import LinearRegression
    from sklearn.naive_bayes import GaussianNB

    frame = pd.DataFrame({"x": [0.0, 1.0, 5.0, 6.0]})
    bayes = GaussianNB().fit(frame, ["a", "a", "b", "b"])
    bayes.var_[:] = 0.0  # as of a column that never varied, without smoothing
    lines = LinearRegression().fit(frame, frame.assign(y=1.0))
    lines.coef_[1, 0] = 1e308
    for name, estimator in (("bayes", bayes), ("lines", lines)):
        small_models.save_estimator(tmp_path / f"{name}.skops", estimator)

    with np.errstate(all="ignore"):
        of_bayes = batch(load(SklearnModel(str(tmp_path / "bayes.skops"))), frame)
        of_lines = batch(load(SklearnModel(str(tmp_path / "lines.skops"))), frame)

    assert set(reasons(of_bayes).values()) == {"not-finite"}
    assert reasons(of_lines) == {2: "not-finite", 3: "not-finite"}
    assert of_lines.predictions.keys == [0, 1]


class Gappy:
    """An estimator that was fitted on targets with gaps, and repeats them."""

    def predict(self, features: pd.DataFrame) -> Any:
        """No number where ``x`` is below 0."""
        return np.where(features["x"] < 0, NAN, 1.0)


def test_a_label_that_is_nan_is_none() -> None:
    """As text it would be a class of its own."""
    features = pd.DataFrame({"x": [1.0, -1.0]})

    columns = output_columns(Gappy(), features, regressor=False, proba=None, model="gappy")

    assert columns == {"label": ["1.0", None]}


BLANK = ("", "   ", "\n")


@pytest.mark.parametrize("padding", [None, 0, 7, -1])
def test_a_text_of_no_tokens_has_one_answer_alone_and_beside_others(
    load: Load, tmp_path: Path, padding: int | None
) -> None:
    """A decoder's tokenizer adds nothing to a text, and the model finds a text's end by its own padding token."""
    folder = small_models.save_decoder(tmp_path / "m")
    change(folder, "config.json", pad_token_id=padding)
    model = load(TransformersText(str(folder), text="body", empty="predict"))
    frame = texts(*BLANK, "good film", "a very long and very good film it was", "x")

    together = model.predict(frame)

    for row in range(len(frame)):
        alone = model.predict(frame.iloc[[row]])
        assert alone["label"].tolist() == [together["label"].iloc[row]]
        assert alone["score"].tolist() == pytest.approx([together["score"].iloc[row]], abs=1e-5)


def test_a_text_of_no_tokens_has_one_vector(load: Load, tmp_path: Path) -> None:
    """That of the token which begins a text, and not of padding."""
    folder = small_models.save_decoder(tmp_path / "m", head=False)
    model = load(TransformersText(str(folder), text="body", task="embed", empty="predict"))

    alone = model.predict(texts(""))["embedding"].iloc[0]

    together = model.predict(texts("good film", ""))["embedding"].iloc[1]
    started = model.predict(texts("<|endoftext|>"))["embedding"].iloc[0]
    assert alone == pytest.approx(together, abs=1e-5)
    assert alone == pytest.approx(started, abs=1e-5)

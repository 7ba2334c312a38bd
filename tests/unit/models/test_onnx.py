"""Graphs predict as the estimators that they were made of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from batchord import OnnxModel
from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.errors import ConfigurationError, ModelError, ModelNotFound

Predict = Callable[[OnnxModel, pd.DataFrame], pd.DataFrame]
_NUMBERS = ["rooms", "area"]


@pytest.fixture
def predict(load: Callable[[OnnxModel], LoadedModel]) -> Predict:
    """Predicts as a worker does."""

    def predicted(declared: OnnxModel, frame: pd.DataFrame) -> pd.DataFrame:
        assert declared.problems() == []
        return load(declared).predict(frame)

    return predicted


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the test writes its graph."""
    return tmp_path / "houses.onnx"


def _houses(rows: int = 90) -> pd.DataFrame:
    random = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "rooms": random.integers(1, 9, rows),
            "area": random.uniform(20, 200, rows).round(1),
            "town": random.choice(["Bonn", "Kiel", "Ulm"], rows),
        },
        index=pd.RangeIndex(7, 7 + rows, name="id"),
    ).astype({"town": "str"})


def _write(file: Path, graph: Any) -> None:
    file.write_bytes(graph.SerializeToString())


def _kinds(frame: pd.DataFrame) -> "pd.Series[str]":
    return pd.cut(frame["area"], [0, 60, 120, 999], labels=["small", "middle", "large"]).astype("str")


@pytest.mark.parametrize("zipmap", [True, False], ids=["dicts", "matrix"])
@pytest.mark.parametrize("labels", ["texts", "numbers"])
def test_a_classifier_over_one_input(predict: Predict, file: Path, *, zipmap: bool, labels: str) -> None:
    """Label and score are the estimator's, however the converter writes probabilities."""
    frame = _houses()
    kinds = _kinds(frame) if labels == "texts" else _kinds(frame).map({"small": 0, "middle": 1, "large": 2})
    fitted = LogisticRegression(max_iter=500).fit(frame[_NUMBERS].to_numpy(), kinds)
    graph = to_onnx(fitted, initial_types=[("X", FloatTensorType([None, 2]))], options={"zipmap": zipmap})
    _write(file, graph)

    answers = predict(OnnxModel(str(file), features=_NUMBERS), frame)

    shares = fitted.predict_proba(frame[_NUMBERS].to_numpy())
    assert answers["label"].tolist() == list(map(str, fitted.predict(frame[_NUMBERS].to_numpy())))
    assert answers["score"].tolist() == pytest.approx(shares.max(axis=1), abs=1e-4)
    assert answers.index.equals(frame.index)
    named = OnnxModel(str(file), features=_NUMBERS, classes=list(map(str, fitted.classes_)), proba="all")
    whole = predict(named, frame)["proba"]
    assert whole.iloc[3] == pytest.approx(dict(zip(map(str, fitted.classes_), shares[3], strict=True)), abs=1e-4)


def test_inputs_by_their_names(predict: Predict, file: Path) -> None:
    """A pipeline over columns of several types has an input for each of them."""
    frame = _houses()
    fitted = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["town"]), remainder="passthrough"), LinearRegression()
    ).fit(frame, frame["area"] * 3 + frame["rooms"])
    types = [
        ("rooms", Int64TensorType([None, 1])),
        ("area", FloatTensorType([None, 1])),
        ("town", StringTensorType([None, 1])),
    ]
    _write(file, to_onnx(fitted, initial_types=types))

    answers = predict(OnnxModel(str(file)), frame[["town", "area", "rooms"]])

    assert list(answers.columns) == ["score"]
    assert answers["score"].tolist() == pytest.approx(fitted.predict(frame), rel=1e-4)
    with pytest.raises(ModelError, match="column 'rooms' has no value, and the graph takes whole numbers"):
        predict(OnnxModel(str(file)), frame.head(1).assign(rooms=np.nan))
    with pytest.raises(ModelError, match="column 'town' has no value, and the graph takes texts"):
        predict(OnnxModel(str(file)), frame.head(1).assign(town=None))
    with pytest.raises(ModelError, match="column 'rooms' has a value that is no int64"):
        predict(OnnxModel(str(file)), frame.head(1).assign(rooms=1.5))


def test_texts(predict: Predict, file: Path) -> None:
    """A graph that holds its own TF-IDF reads one column of texts."""
    texts = [f"{mood} film about {what}" for mood in ("good", "bad") for what in ("love", "war", "food", "rain")]
    moods = ["good"] * 4 + ["bad"] * 4
    fitted = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, moods)
    options = {LogisticRegression: {"zipmap": False}, TfidfVectorizer: {"locale": "C"}}
    _write(file, to_onnx(fitted, initial_types=[("text", StringTensorType([None, 1]))], options=options))
    frame = pd.DataFrame({"body": texts}).astype("str")

    answers = predict(OnnxModel(str(file), text="body", classes=["bad", "good"]), frame)

    assert answers["label"].tolist() == moods
    assert answers["score"].tolist() == pytest.approx(fitted.predict_proba(texts).max(axis=1), abs=1e-5)


def test_a_locale_that_is_missing_is_named(predict: Predict, file: Path) -> None:
    """A graph that makes small letters needs its locale on the machine."""
    fitted = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["a film", "a book"], [0, 1])
    types, options = [("text", StringTensorType([None, 1]))], {TfidfVectorizer: {"locale": "xx_XX.UTF-8"}}
    _write(file, to_onnx(fitted, initial_types=types, options=options))

    with pytest.raises(ConfigurationError, match=r"a locale that this machine lacks .* export it with the locale C"):
        predict(OnnxModel(str(file), text="body"), pd.DataFrame({"body": ["a film"]}))


def _linear(file: Path, *, width: int, rows: str | int = "records", output: str = "logits", external: str = "") -> None:
    """Two columns times a matrix of ones and twos: what a network's last layer gives."""
    weights = np.arange(1, 2 * width + 1, dtype="float32").reshape(2, width)
    stored = onnx.numpy_helper.from_array(weights, "weights")
    if external:
        onnx.external_data_helper.set_external_data(stored, external)
        stored.ClearField("raw_data")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weights"], [output])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 2])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [rows, width])],
        [stored],
    )
    _write(file, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def test_a_networks_output_becomes_classes_or_a_column(predict: Predict, file: Path) -> None:
    """As its author declares it. Without a word about classes it is a list under its own name."""
    _linear(file, width=3)
    frame = pd.DataFrame({"a": [0.1, -0.2], "b": [0.3, 0.1]})
    logits = frame.to_numpy() @ np.arange(1, 7).reshape(2, 3)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    features, classes = ["a", "b"], ["x", "y", "z"]

    plain = predict(OnnxModel(str(file), features=features), frame)
    named = predict(OnnxModel(str(file), features=features, classes=classes, logits=True), frame)

    assert np.array(plain["logits"].tolist()) == pytest.approx(logits, abs=1e-6)
    assert named["label"].tolist() == [classes[place] for place in shares.argmax(axis=1)]
    assert named["score"].tolist() == pytest.approx(shares.max(axis=1), abs=1e-6)
    with pytest.raises(ConfigurationError, match=r"classes= names 2 classes, but .* knows 3"):
        predict(OnnxModel(str(file), features=features, classes=["x", "y"], logits=True), frame)


def test_one_logit_is_that_of_the_second_class(predict: Predict, file: Path) -> None:
    """The logistic function makes it a probability."""
    _linear(file, width=1)
    frame = pd.DataFrame({"a": [0.5, -2.0], "b": [0.0, 0.25]})

    answers = predict(OnnxModel(str(file), features=["a", "b"], classes=["no", "yes"], logits=True), frame)

    assert answers["label"].tolist() == ["yes", "no"]
    assert answers["score"].tolist() == pytest.approx([1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(-1.5))], abs=1e-6)


def test_values_that_are_not_finite_reject_their_record(predict: Predict, file: Path) -> None:
    """Otherwise such a record would get the first class."""
    _linear(file, width=3)
    frame = pd.DataFrame({"a": [0.5, np.nan], "b": [0.0, 0.25]})

    answers = predict(OnnxModel(str(file), features=["a", "b"], classes=["x", "y", "z"], logits=True), frame)

    assert answers["label"].iloc[0] == "z"
    assert "NaN or infinite" in str(answers["label"].iloc[1])


def test_graphs_that_cannot_be_used_say_why(predict: Predict, file: Path) -> None:
    """Before a record is read."""
    frame = pd.DataFrame({"a": [0.5], "b": [0.0]})
    _linear(file, width=3)
    with pytest.raises(ConfigurationError, match="trained without names of its 2 columns"):
        predict(OnnxModel(str(file)), frame)
    with pytest.raises(ConfigurationError, match=r"text='a' needs a graph with one input of texts, but .* reads x"):
        predict(OnnxModel(str(file), text="a"), frame)
    _linear(file, width=3, rows=32)
    with pytest.raises(ConfigurationError, match=r"takes exactly 32 records at a time .* a free first dimension"):
        predict(OnnxModel(str(file), features=["a", "b"]), frame)
    file.write_bytes(b"no graph")
    with pytest.raises(ModelNotFound, match="cannot be read as a model"):
        predict(OnnxModel(str(file), features=["a", "b"]), frame)


@pytest.mark.parametrize("place", ["weights.bin", "../weights.bin"])
def test_weights_beside_the_graph_are_not_read(
    predict: Predict, file: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither from the folder of the process nor from one above it: the graph could name any file of the machine."""
    here = file.parent / "here"
    here.mkdir()
    for folder in (here, file.parent):
        (folder / "weights.bin").write_bytes(np.ones(6, dtype="float32").tobytes())
    monkeypatch.chdir(here)
    _linear(file, width=3, external=place)

    with pytest.raises(ModelNotFound, match="with its weights inside the file"):
        predict(OnnxModel(str(file), features=["a", "b"]), pd.DataFrame({"a": [0.5], "b": [0.0]}))


def test_a_graph_over_tokens_names_the_kind_for_it(predict: Predict, file: Path) -> None:
    """Its inputs are what a tokenizer makes."""
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["records", "tokens"])
    out = helper.make_tensor_value_info("out", TensorProto.INT64, ["records", "tokens"])
    graph = helper.make_graph([helper.make_node("Identity", ["input_ids"], ["out"])], "net", [ids], [out])
    _write(file, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))

    with pytest.raises(ConfigurationError, match=r"reads input_ids: what a tokenizer .* use TransformersText"):
        predict(OnnxModel(str(file), text="body"), pd.DataFrame({"body": ["a text"]}))

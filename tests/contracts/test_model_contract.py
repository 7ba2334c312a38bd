"""What every kind of model owes its callers (:class:`batchord.core.ports.Models`, ``LoadedModel``)."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from batchord import (
    CatBoostModel,
    FunctionModel,
    Images,
    Model,
    OnnxModel,
    SklearnModel,
    TransformersImage,
    TransformersText,
    XGBoostModel,
)
from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.errors import ConfigurationError, ModelNotFound
from batchord.models.library import ModelLibrary
from batchord.storage.objects import Objects
from tests.contracts import small_models

pytestmark = pytest.mark.torch

_PHOTOS = Images(column="photo", allow=("s3://photos/",))
_TREE = "sklearn.tree._tree.Tree"


def _lengths(frame: pd.DataFrame) -> "pd.Series[Any]":
    frame["added"] = 1  # A notebook adds a column like this. The caller's frame must not get it.
    return frame["body"].map(len).astype(int)


def _moods(frame: pd.DataFrame) -> pd.DataFrame:
    good = frame["body"].str.contains("good")
    return pd.DataFrame(
        {"label": good.map({True: "good", False: "bad"}), "words": frame["body"].map(str.split).map(len)}
    )


@dataclass(frozen=True)
class Kind:
    """One kind of model: how to store it, with weights that depend on a seed, and how to declare it."""

    save: Callable[[Path, int], Path] | None
    declare: Callable[[str], Model]
    columns: set[str]


KINDS: dict[str, Kind] = {
    "sklearn-classifier": Kind(
        lambda path, seed: small_models.save_sklearn_classifier(path / "model.skops", seed=seed),
        lambda location: SklearnModel(location, text="body"),
        {"label", "score"},
    ),
    "sklearn-regressor": Kind(
        lambda path, seed: small_models.save_sklearn_regressor(path / "model.skops", seed=seed),
        lambda location: SklearnModel(location, features=("rooms", "area"), trusted=(_TREE,)),
        {"score"},
    ),
    "sklearn-joblib": Kind(
        lambda path, seed: small_models.save_sklearn_classifier(path / "model.joblib", seed=seed),
        lambda location: SklearnModel(location, text="body", trust_pickle=small_models.digest_of(location)),
        {"label", "score"},
    ),
    "sklearn-pickle": Kind(
        lambda path, seed: small_models.save_sklearn_regressor(path / "model.pkl", seed=seed),
        lambda location: SklearnModel(
            location, features=("rooms", "area"), trust_pickle=small_models.digest_of(location)
        ),
        {"score"},
    ),
    "xgboost": Kind(
        lambda path, seed: small_models.save_xgboost_regressor(path / "model.ubj", seed=seed), XGBoostModel, {"score"}
    ),
    "catboost": Kind(
        lambda path, seed: small_models.save_catboost_classifier(path / "model.cbm", seed=seed),
        CatBoostModel,
        {"label", "score"},
    ),
    "onnx": Kind(
        lambda path, seed: small_models.save_onnx_classifier(path / "model.onnx", seed=seed),
        lambda location: OnnxModel(location, features=("rooms", "area")),
        {"label", "score"},
    ),
    "function-series": Kind(None, lambda _: FunctionModel(_lengths), {"score"}),
    "function-frame": Kind(None, lambda _: FunctionModel(_moods), {"label", "words"}),
    "text-classifier": Kind(
        lambda path, seed: small_models.save_text_classifier(path, seed=seed),
        lambda location: TransformersText(location, text="body"),
        {"label", "score", "truncated"},
    ),
    "text-embedder": Kind(
        lambda path, seed: small_models.save_text_embedder(path, seed=seed),
        lambda location: TransformersText(location, text="body", task="embed"),
        {"embedding", "truncated"},
    ),
    "image-classifier": Kind(
        lambda path, seed: small_models.save_image_classifier(path, seed=seed),
        lambda location: TransformersImage(location, images=_PHOTOS),
        {"label", "score"},
    ),
    "image-embedder": Kind(
        lambda path, seed: small_models.save_image_embedder(path, seed=seed),
        lambda location: TransformersImage(location, images=_PHOTOS, task="embed"),
        {"embedding"},
    ),
}
STORED = [name for name, kind in KINDS.items() if kind.save is not None]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Where a kind's weights are; written once for all tests of this file."""
    saved: dict[str, str] = {}

    def location(name: str) -> str:
        save = KINDS[name].save
        if name not in saved:
            saved[name] = "" if save is None else str(save(tmp_path_factory.mktemp(name), 0))
        return saved[name]

    return location


@pytest.fixture
def library(tmp_path: Path) -> ModelLibrary:
    """A library that can reach no store: these models are all local."""
    return ModelLibrary(home=tmp_path / "home", objects=Objects(endpoint_url="http://127.0.0.1:1"))


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of model in turn."""
    name: str = request.param
    return name


@pytest.fixture
def declared(kind: str, weights: Callable[[str], str]) -> Model:
    """The declaration of a model of this kind."""
    return KINDS[kind].declare(weights(kind))


@pytest.fixture
def model(library: ModelLibrary, declared: Model) -> LoadedModel:
    """A loaded model of this kind."""
    return library.load(declared, library.version(declared))


def frame_of(rows: int) -> pd.DataFrame:
    """Records that every kind of model can read, of very different lengths and sizes."""
    words = small_models.WORDS
    return pd.DataFrame(
        {
            "body": [" ".join(words[(row + at) % len(words)] for at in range(1 + row * 7 % 40)) for row in range(rows)],
            "rooms": [1.0 + row % 5 for row in range(rows)],
            "area": [20.0 + 3 * row for row in range(rows)],
            "photo": [Image.new("RGB", (20 + row, 30), (row * 37 % 256, row * 91 % 256, 128)) for row in range(rows)],
        },
        index=pd.Index(range(100, 100 + rows), name="id"),
    )


def assert_same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    """The same labels, and numbers within the noise of floating-point sums."""
    assert list(left.columns) == list(right.columns)
    for name in left.columns:
        for one, other in zip(left[name], right[name], strict=True):
            assert one == (other if isinstance(one, str) else pytest.approx(other, abs=1e-5))


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([7, 3, 5, 9], name="id"),
        pd.Index(["d", "a", "c", "b"]),
        pd.Index([uuid.UUID(int=value) for value in (4, 1, 3, 2)]),
        pd.to_datetime(pd.Index(["2026-01-04", "2026-01-01", "2026-01-03", "2026-01-02"]), utc=True),
    ],
    ids=["integers", "texts", "uuids", "times"],
)
def test_index_order_and_length_are_the_frames(kind: str, model: LoadedModel, index: "pd.Index[Any]") -> None:
    """One row per record, under the record's key, whatever the key's type and order."""
    output = model.predict(frame_of(4).set_axis(index))

    pd.testing.assert_index_equal(output.index, index)
    assert set(output.columns) == KINDS[kind].columns


def test_no_records_give_no_rows(kind: str, model: LoadedModel) -> None:
    """An empty frame gives an empty frame with the usual columns."""
    frame = frame_of(3).iloc[:0]

    output = model.predict(frame)

    assert len(output) == 0
    pd.testing.assert_index_equal(output.index, frame.index)
    assert set(output.columns) <= KINDS[kind].columns


def test_equal_records_get_equal_predictions(model: LoadedModel) -> None:
    """A record predicted thrice in one frame gets one answer."""
    frame = pd.concat([frame_of(20)] * 3).reset_index(drop=True)

    output = model.predict(frame)

    for start in (20, 40):
        assert_same(output.iloc[:20], output.iloc[start : start + 20])


def test_predictions_do_not_depend_on_neighbours(model: LoadedModel) -> None:
    """Whole, reversed, or cut into frames of any size: the same predictions."""
    frame = frame_of(45)

    whole = model.predict(frame)

    assert_same(model.predict(frame.iloc[::-1]).iloc[::-1], whole)
    assert_same(pd.concat([model.predict(frame.iloc[at : at + 7]) for at in range(0, 45, 7)]), whole)
    assert_same(model.predict(frame.iloc[[30]]), whole.iloc[[30]])


def test_the_frame_is_left_as_it_was(model: LoadedModel) -> None:
    """Columns, values and order of the caller's frame do not change."""
    frame = frame_of(6)
    before = frame.copy()

    model.predict(frame)

    pd.testing.assert_frame_equal(frame, before)


def test_labels_are_texts_and_scores_numbers(model: LoadedModel) -> None:
    """Whatever the classes' own type is, and no numpy types in other columns."""
    output = model.predict(frame_of(5))

    for name, kinds in {"label": str, "score": float, "truncated": bool, "embedding": list}.items():
        if name in output.columns:
            assert all(isinstance(value, kinds) for value in output[name].tolist())


def test_different_records_get_different_predictions(model: LoadedModel) -> None:
    """The input reaches the model."""
    output = model.predict(frame_of(20))

    assert len({str(row) for row in output.to_numpy().tolist()}) > 1


def test_the_version_stands_still(library: ModelLibrary, declared: Model, model: LoadedModel, tmp_path: Path) -> None:
    """Asked again, by another process, or of the loaded model: one version."""
    other = ModelLibrary(home=tmp_path / "other", objects=Objects())

    assert library.version(declared) == other.version(declared) == model.version
    assert "@" in model.version


@pytest.mark.parametrize("kind", STORED, indirect=True)
def test_other_weights_are_another_version(kind: str, declared: Model, library: ModelLibrary, tmp_path: Path) -> None:
    """Models that differ in their weights alone never share a version."""
    save = KINDS[kind].save
    assert save is not None
    other = KINDS[kind].declare(str(save(tmp_path, 1)))

    assert library.version(other).partition("@")[2] != library.version(declared).partition("@")[2]


@pytest.mark.parametrize("kind", STORED, indirect=True)
def test_replaced_files_are_refused(kind: str, library: ModelLibrary, tmp_path: Path) -> None:
    """A run that pinned a version does not use files that replaced that version."""
    save = KINDS[kind].save
    assert save is not None
    declared = KINDS[kind].declare(str(save(tmp_path / "kept", 0)))
    pinned = library.version(declared)
    save(tmp_path / "kept", 1)

    # Of a pickle, the declaration itself names the file.
    with pytest.raises((ModelNotFound, ConfigurationError), match=r"Start a new run|trust_pickle= names another file"):
        library.load(declared, pinned)


def test_loads_once_from_many_threads(library: ModelLibrary, declared: Model) -> None:
    """Eight threads that ask at once share one model."""
    version = library.version(declared)

    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda _: library.load(declared, version), range(8)))

    assert len({id(each) for each in loaded}) == 1


def test_another_version_is_refused(library: ModelLibrary, declared: Model) -> None:
    """A version that was never stored is refused, also with the model itself in memory."""
    library.load(declared, library.version(declared))

    with pytest.raises(ModelNotFound, match="other@0123456789ab"):
        library.load(declared, "other@0123456789ab")


def test_options_that_change_the_output_change_the_version(
    library: ModelLibrary, weights: Callable[[str], str]
) -> None:
    """Texts cut elsewhere are other predictions; another device gives the same."""
    declared = TransformersText(weights("text-classifier"), text="body")
    version = library.version(declared)

    assert library.version(replace(declared, max_tokens=16)) != version
    assert library.version(replace(declared, text="title")) != version
    assert library.version(replace(declared, dtype="bfloat16")) != version
    assert library.version(replace(declared, device="cpu")) == version
    assert library.version(replace(declared, max_tokens=16)).startswith(version.partition("+")[0])

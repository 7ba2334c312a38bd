"""A pickled estimator is loaded only if the declaration names the digest of exactly its bytes."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from batchord import Model, SklearnModel
from batchord.core.declared.loaded_model import LoadedModel, remarks_of
from batchord.core.errors import ConfigurationError, ModelNotFound
from batchord.core.ports import NotAtHand
from batchord.models.estimators import load_estimator
from batchord.models.library import ModelLibrary
from batchord.storage.objects import Objects
from tests.contracts import small_models
from tests.contracts.small_models import digest_of, save_estimator, save_malicious

Load = Callable[[Model], LoadedModel]
FRAME = pd.DataFrame({"x": [-2.0, -1.0, 1.0, 3.0]})
LABELS = ["no", "no", "yes", "yes"]
OTHER = "sha256:" + "0" * 64


def fitted() -> Any:
    """A classifier of :data:`FRAME`."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(FRAME, LABELS)


def trusting(file: Path, digest: str | None = None) -> SklearnModel:
    """The declaration of the file, which trusts it as it is now unless a digest is given."""
    return SklearnModel(str(file), trust_pickle=digest or digest_of(file))


@pytest.fixture
def library(tmp_path: Path) -> ModelLibrary:
    """A library that can reach no store."""
    return ModelLibrary(home=tmp_path / "home", objects=Objects(endpoint_url="http://127.0.0.1:1"))


@pytest.mark.parametrize("name", ["m.joblib", "m.pkl", "m.pickle"])
def test_a_trusted_pickle_predicts(load: Load, tmp_path: Path, name: str) -> None:
    """As the estimator itself; also as the only one in its folder."""
    save_estimator(tmp_path / "model" / name, fitted())
    digest = digest_of(tmp_path / "model" / name)

    for location in (tmp_path / "model" / name, tmp_path / "model"):
        output = load(trusting(location, digest.upper())).predict(FRAME)
        assert output["label"].tolist() == LABELS


@pytest.mark.parametrize("library", ["xgboost", "catboost"])
def test_estimators_of_other_libraries_predict(load: Load, tmp_path: Path, library: str) -> None:
    """Those with scikit-learn's interface, as they are pickled most."""
    import catboost
    import xgboost

    numbers = [label == "yes" for label in LABELS]
    fitted: Any = xgboost.XGBClassifier(n_estimators=2, n_jobs=2, min_child_weight=0)
    if library == "catboost":
        fitted = catboost.CatBoostClassifier(iterations=2, verbose=0, thread_count=1, allow_writing_files=False)
    joblib.dump(fitted.fit(FRAME, numbers), tmp_path / "m.joblib")

    answers = load(trusting(tmp_path / "m.joblib")).predict(FRAME)

    assert answers["label"].tolist() == list(map(str, fitted.predict(FRAME)))
    assert answers["score"].tolist() == pytest.approx(fitted.predict_proba(FRAME).max(axis=1))


@pytest.mark.parametrize("compress", ["zlib", "gzip", "bz2", "lzma", "xz"])
def test_what_joblib_compressed_is_loaded(load: Load, tmp_path: Path, compress: str) -> None:
    """By the digest of the file as it stands."""
    joblib.dump(fitted(), tmp_path / "m.joblib", compress=(compress, 3))

    assert load(trusting(tmp_path / "m.joblib")).predict(FRAME)["label"].tolist() == LABELS


def test_without_trust_the_error_has_both_ways_out(load: Load, tmp_path: Path) -> None:
    """With commands that can be copied, for a file and for a folder."""
    save_estimator(tmp_path / "model" / "churn.joblib", fitted())
    file = tmp_path / "model" / "churn.joblib"

    for location in (file, tmp_path / "model"):
        with pytest.raises(ConfigurationError) as raised:
            load(SklearnModel(str(location)))
        assert f"`batchord convert {file} -o churn.skops`" in str(raised.value)
        assert f"`batchord trust {file}` prints" in str(raised.value)


def test_a_wrong_digest_names_both_and_runs_nothing(library: ModelLibrary, tmp_path: Path) -> None:
    """When a run is planned, and when the file is loaded: also where nobody asked for the version before."""
    proof = tmp_path / "proof"
    file = save_malicious(tmp_path / "m.pkl", proof)
    declared = trusting(file, OTHER)

    for refused in (
        lambda: library.version(declared),
        lambda: library.load(declared, "m@0123456789ab"),
        lambda: load_estimator(declared, "m@0123456789ab", file, threads=1),
    ):
        with pytest.raises(ConfigurationError, match=f"trusts {OTHER}, but the file has {digest_of(file)}"):
            refused()
    assert declared.problems_of_files()[0].startswith("trust_pickle= names another file than")
    assert not proof.exists()


def test_the_malicious_pickle_is_one(load: Load, tmp_path: Path) -> None:
    """The proof of the other tests: whoever trusts it has its code executed."""
    file = save_malicious(tmp_path / "m.pkl", tmp_path / "proof")

    with pytest.raises(ConfigurationError, match="holds a dict, which has no predict"):
        load(trusting(file))
    assert (tmp_path / "proof").exists()


def test_a_file_swapped_after_the_check_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is unpickled are the very bytes that were hashed: the file is read once."""
    file = save_estimator(tmp_path / "m.pkl", fitted())
    declared = trusting(file)
    read = Path.read_bytes

    def read_then_swap(path: Path) -> bytes:
        data = read(path)
        save_malicious(path, tmp_path / "proof")
        return data

    monkeypatch.setattr(Path, "read_bytes", read_then_swap)
    model = load_estimator(declared, "m@0123456789ab", file, threads=1)

    assert model.predict(FRAME)["label"].tolist() == LABELS
    assert not (tmp_path / "proof").exists()


def test_a_plan_loads_no_pickle(library: ModelLibrary, tmp_path: Path) -> None:
    """Not even a trusted one: a machine that gives commands need not run its code."""
    file = save_malicious(tmp_path / "m.pkl", tmp_path / "proof")
    declared = trusting(file)

    at_hand = library.load_at_hand(declared, library.version(declared))

    assert isinstance(at_hand, NotAtHand)
    assert "pickle" in at_hand.why
    assert not (tmp_path / "proof").exists()


def test_the_digest_is_no_option_of_the_version_and_the_format_is(library: ModelLibrary, tmp_path: Path) -> None:
    """The version names the file's content anyway."""
    for name in ("m.skops", "m.joblib", "m.pkl"):
        save_estimator(tmp_path / name, fitted())

    versions = [
        library.version(SklearnModel(str(tmp_path / "m.skops"))),
        *(library.version(trusting(tmp_path / name)) for name in ("m.joblib", "m.pkl")),
    ]

    assert len(set(versions)) == 3
    assert all(version.startswith("m@") and "+" not in version for version in versions)


def test_arrays_in_files_beside_are_refused(load: Load, tmp_path: Path) -> None:
    """As joblib wrote them long ago: nobody has checked those files."""
    from joblib.numpy_pickle_compat import NDArrayWrapper

    for protocol in (2, 4):
        old = NDArrayWrapper("m.pkl_01.npy", np.ndarray)
        (tmp_path / "m.pkl").write_bytes(pickle.dumps({"coef_": old}, protocol=protocol))
        with pytest.raises(ConfigurationError, match="keeps its arrays in files beside it"):
            load(trusting(tmp_path / "m.pkl"))


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        (SklearnModel("m.pkl", trust_pickle="5f2c"), "trust_pickle='5f2c': give sha256: and 64 hexadecimal digits"),
        (SklearnModel("m.pkl", trust_pickle=True), "trust_pickle=True: give sha256:"),  # type: ignore[arg-type]
        (SklearnModel("m.skops", trust_pickle=OTHER), "m.skops is a .skops file: leave it out"),
        (SklearnModel("m.pkl", trust_pickle=OTHER, trusted=["a.B"]), "leave trusted= out"),
    ],
    ids=["short", "true", "skops", "types"],
)
def test_wrong_declarations(declared: SklearnModel, problem: str) -> None:
    """Said where the pipeline is declared, and not by a worker."""
    assert [problem in each for each in declared.problems()] == [True]


def test_a_sound_declaration_has_no_problems() -> None:
    """For a path, a folder and a store."""
    for location in ("m.pkl", "models/churn", "s3://models/m.joblib"):
        assert SklearnModel(location, trust_pickle=OTHER).problems() == []


def test_a_folder_has_one_pickle(load: Load, tmp_path: Path) -> None:
    """Which of two is meant, nobody knows; a .skops file beside is not meant."""
    save_estimator(tmp_path / "model" / "m.skops", fitted())
    digest = OTHER
    with pytest.raises(ModelNotFound, match="holds no pickled model, but trust_pickle= is given"):
        load(trusting(tmp_path / "model", digest))
    for name in ("a.pkl", "b.joblib"):
        save_estimator(tmp_path / "model" / name, fitted())
    with pytest.raises(ConfigurationError, match=r"2 pickled files \(a\.pkl, b\.joblib\)"):
        load(trusting(tmp_path / "model", digest))
    (tmp_path / "model" / "m.skops").unlink()
    with pytest.raises(ConfigurationError, match=r"`batchord trust FILE` prints"):
        load(SklearnModel(str(tmp_path / "model")))


class _Predicts:
    def predict(self, frame: Any) -> Any:
        """Not scikit-learn's."""


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (_Predicts(), "is no estimator of scikit-learn: derive its class"),
        ([1, 2], "holds a list, which has no predict"),
    ],
    ids=["stranger", "list"],
)
def test_what_is_no_estimator_is_refused(load: Load, tmp_path: Path, stored: Any, told: str) -> None:
    """With what to do."""
    with pytest.raises(ConfigurationError, match=told):
        load(trusting(save_estimator(tmp_path / "m.pkl", stored)))


@pytest.mark.parametrize(
    ("data", "error", "told"),
    [
        (b"\x80\x04\x8c\x09cut", ModelNotFound, "is not a complete pickle"),
        (b"", ModelNotFound, "is not a complete pickle"),
        (b"cboostlib.sklearn\nModel\n.", ConfigurationError, "needs the module boostlib, .* pip install boostlib"),
        (b"ccv2\nNet\n.", ConfigurationError, "pip install opencv-python-headless"),
        (b"c__main__\nclean\n.", ConfigurationError, "clean was defined in a notebook or a script: move it"),
        (b"csklearn.base\nGone\n.", ConfigurationError, "install the libraries that it was written with"),
    ],
    ids=["cut", "empty", "missing", "named-otherwise", "notebook", "older"],
)
def test_what_cannot_be_loaded_is_said(
    load: Load, tmp_path: Path, data: bytes, error: type[Exception], told: str
) -> None:
    """Damaged, of another library, of a notebook, or of another release."""
    (tmp_path / "m.pkl").write_bytes(data)

    with pytest.raises(error, match=told):
        load(trusting(tmp_path / "m.pkl"))


@pytest.mark.parametrize("name", ["m.pkl", "m.skops"])
def test_another_release_of_scikit_learn_is_one_remark(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """And no error, although scikit-learn warns for each part of the pipeline."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), fitted()).fit(FRAME, LABELS)
    with monkeypatch.context() as patch:
        patch.setattr("sklearn.base.__version__", "1.0.2")
        save_estimator(tmp_path / name, model)
    declared = SklearnModel(str(tmp_path / name))
    if name == "m.pkl":
        declared = replace(declared, trust_pickle=digest_of(tmp_path / name))

    (remark,) = remarks_of(load(declared))

    assert "was written with scikit-learn 1.0.2" in remark
    assert "install scikit-learn==1.0.2" in remark


def test_a_pickle_needs_no_skops(tmp_path: Path) -> None:
    """Where only scikit-learn is installed."""
    file = small_models.save_sklearn_regressor(tmp_path / "m.joblib")
    program = f"""
import sys
sys.modules["skops"] = None
from pathlib import Path
import pandas as pd
from batchord import SklearnModel
from batchord.models.library import ModelLibrary
from batchord.storage.objects import Objects

library = ModelLibrary(home=Path({str(tmp_path)!r}), objects=Objects())
declared = SklearnModel({str(file)!r}, trust_pickle={digest_of(file)!r})
model = library.load(declared, library.version(declared))
assert len(model.predict(pd.DataFrame({{"rooms": [1.0], "area": [2.0]}}))) == 1
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)

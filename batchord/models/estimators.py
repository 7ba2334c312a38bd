"""Loads scikit-learn estimators, and predicts with them."""

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchord.core.declared.checks import kind_of
from batchord.core.errors import ConfigurationError, ModelNotFound
from batchord.core.text.error_text import clause, from_notebook
from batchord.models.digests import single_file
from batchord.models.estimator_outputs import check_proba, one_against_rest, output_columns
from batchord.models.failures import check_columns, predicting
from batchord.models.pickles import check_digest, digest_of_bytes
from batchord.models.sklearn import SklearnModel
from batchord.models.skops_import import import_skops
from batchord.models.unpickling import not_loaded, unpickled, with_remarks

if TYPE_CHECKING:
    import pandas as pd


def load_estimator(declared: SklearnModel, version: str, folder: Path, *, threads: int) -> "LoadedEstimator":
    """Reads the file at or in ``folder``.

    Of a ``.skops`` file, only code of scikit-learn and of trusted types runs. A pickle is unpickled only if it is the
    trusted one. Raises ConfigurationError for what is not trusted and for an object without ``predict``.
    """
    import threadpoolctl  # type: ignore[import-untyped]

    file = single_file(folder, declared.is_part)
    pickled = declared.trust_pickle is not None
    estimator, remarks = _from_pickle(declared, file) if pickled else _from_skops(declared, file)
    check_estimator(estimator, declared.location)
    check_proba(estimator, declared.proba, declared.location)
    one_against_rest(estimator)
    # Worker processes already run in parallel. If each used many threads, they would slow each other down.
    threadpoolctl.threadpool_limits(limits=threads)
    jobs = [name for name in estimator.get_params() if name == "n_jobs" or name.endswith("__n_jobs")]
    if jobs:  # some kinds refuse to change anything once they are fitted
        estimator.set_params(**dict.fromkeys(jobs))
    return LoadedEstimator(declared, version, estimator, remarks)


def _from_pickle(declared: SklearnModel, file: Path) -> tuple[Any, list[str]]:
    """Reads the file once: the bytes whose digest was checked are those that are unpickled, whatever replaces them."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ModelNotFound(f"{file} cannot be read: {clause(error)}. Restore the file or its permissions.") from error
    check_digest(declared.location, digest_of_bytes(data), str(declared.trust_pickle), option="trust_pickle=")
    return unpickled(data, declared.location)


def _from_skops(declared: SklearnModel, file: Path) -> tuple[Any, list[str]]:
    skops_io = import_skops()
    try:
        types = set(skops_io.get_untrusted_types(file=file))
        refuse_notebook(types, declared.location)
        untrusted = sorted(types - set(declared.trusted))
        if untrusted:
            everything = ", ".join(repr(name) for name in sorted({*declared.trusted, *untrusted}))
            raise ConfigurationError(
                f"{declared.location} holds types that skops does not trust. If you know what they do, add to the "
                f"SklearnModel: trusted=[{everything}]"
            )
        return with_remarks(lambda: skops_io.load(file, trusted=list(declared.trusted)), declared.location)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise ModelNotFound(f"{file} is not a complete .skops file ({error}): write it with skops.io.dump.") from error
    except (ImportError, AttributeError, TypeError) as error:
        raise not_loaded(str(file), error) from error


def refuse_notebook(types: Iterable[str], location: str) -> None:
    """Raises ConfigurationError if one of the types, by name, was defined in a notebook or a script.

    Even if it is trusted: a notebook could load it, but no worker can.
    """
    if own := min((name for name in types if name.startswith("__main__.") or "<" in name), default=None):
        raise ConfigurationError(f"{location} holds {own}. {from_notebook(own.rpartition('.')[2])}.")


def check_estimator(estimator: object, location: str) -> None:
    """Raises ConfigurationError for an object that cannot predict, or is no estimator."""
    kind = kind_of(estimator)
    if not hasattr(estimator, "predict"):
        raise ConfigurationError(f"{location} holds {kind}, which has no predict().")
    if not hasattr(estimator, "get_params") or not hasattr(estimator, "__sklearn_tags__"):
        raise ConfigurationError(
            f"{location} holds {kind}, which has predict() but is no estimator of scikit-learn: derive its class "
            "from sklearn.base.BaseEstimator, or call it in a function of yours."
        )


class LoadedEstimator:
    """Implements :class:`.LoadedModel` for an estimator or pipeline.

    A classifier returns ``label``. If it knows probabilities, it also returns the label's probability as ``score``, or
    what ``proba=`` asks for. If it has only a decision function, it returns ``margin``, the label's distance from the
    decision boundary, which is not a probability. A regressor returns ``score``; clusterers and outlier detectors
    return ``label``. With several outputs the columns are ``label_0``, ``label_1``, … or ``score_0``, …; with
    ``proba=``, ``score_0``, … or ``proba_0``, … come beside the labels.
    """

    runs_on = "cpu"
    picture_side = None
    costly_characters = None

    def __init__(self, declared: SklearnModel, version: str, estimator: Any, remarks: Sequence[str] = ()) -> None:
        from sklearn.base import is_regressor
        from sklearn.pipeline import Pipeline

        self.version = version
        self.remarks = remarks
        self._declared = declared
        self._estimator = estimator
        self._regressor = is_regressor(estimator)
        # The pipeline's predict and predict_proba would each compute the features, which often cost more than the
        # estimator itself. So we compute them once for both. We do not use a slice of the pipeline: if its last step
        # keeps no state, the slice claims that it was never fitted. A subclass may have a predict of its own, so it is
        # called as a whole.
        steps = [step for _, step in estimator.steps] if type(estimator) is Pipeline else [estimator]
        self._transformers = [step for step in steps[:-1] if step is not None and step != "passthrough"]
        self._final = steps[-1]

    @property
    def reads(self) -> tuple[str, ...] | None:
        """The columns that the estimator was fitted on, if it knows their names."""
        fitted = getattr(self._estimator, "feature_names_in_", None)
        return None if fitted is None or self._declared.images is not None else tuple(map(str, fitted))

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """See :meth:`.LoadedModel.predict`."""
        import pandas as pd

        with predicting(self.version, frame):
            columns = self._columns(self._features(frame)) if len(frame) else self._no_columns()
            return pd.DataFrame(columns, index=frame.index)

    def _features(self, frame: "pd.DataFrame") -> Any:
        features = self._input(frame)
        for transformer in self._transformers:
            features = transformer.transform(features)
        return features

    def _input(self, frame: "pd.DataFrame") -> Any:
        declared = self._declared
        fitted = getattr(self._estimator, "feature_names_in_", None)
        wanted = (
            [declared.text]
            if declared.text
            else list(declared.features or (frame.columns if fitted is None else fitted))
        )
        check_columns(frame, wanted, version=self.version)
        if declared.text:
            texts = frame[declared.text].astype(object)
            return texts if set(map(type, texts.tolist())) == {str} else texts.map(str)
        # An estimator that was fitted on an array knows columns only by their places, and warns about names.
        nameless = fitted is None and hasattr(self._estimator, "n_features_in_")
        return frame[wanted].to_numpy() if nameless else frame[wanted]

    def _columns(self, features: Any) -> dict[str, Any]:
        proba = self._declared.proba
        return output_columns(self._final, features, regressor=self._regressor, proba=proba, model=self.version)

    def _no_columns(self) -> dict[str, Any]:
        return {"score": []} if self._regressor else {"label": []}

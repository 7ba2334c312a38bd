"""Loads a pickled estimator from bytes whose digest has been checked. Loading runs any code that the pickle names."""

import io
import lzma
import pickle
import re
import warnings
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

from billiard.exceptions import SoftTimeLimitExceeded

from batchord.core.errors import BatchordError, ConfigurationError, ModelNotFound
from batchord.core.process.extras import distribution_of
from batchord.core.text.error_text import clause, error_text

T = TypeVar("T")

#: How joblib wrote arrays into files of their own until version 0.10. The bytes between are opcodes.
_FILES_BESIDE = re.compile(rb"joblib\.numpy_pickle(?:_compat)?.{1,16}?NDArrayWrapper", re.DOTALL)


def unpickled(data: bytes, location: str) -> tuple[Any, list[str]]:
    """The object in ``data``, plain or as joblib writes it, and remarks about it. Check the digest first.

    Raises ConfigurationError if it cannot be loaded here, ModelNotFound if the file is damaged.
    """
    import joblib

    if _FILES_BESIDE.search(data):
        raise ConfigurationError(
            f"{location} keeps its arrays in files beside it, and the digest of one file does not cover them: load it "
            "where it was written, and write it again with joblib.dump, which puts all into one file since joblib 0.10."
        )
    try:
        return with_remarks(lambda: joblib.load(io.BytesIO(data)), location)
    except (BatchordError, MemoryError, SoftTimeLimitExceeded):
        raise
    except (EOFError, pickle.UnpicklingError, zlib.error, lzma.LZMAError) as error:
        raise ModelNotFound(
            f"{location} is not a complete pickle ({clause(error_text(error))}): write it again."
        ) from error
    except Exception as error:
        raise not_loaded(location, error) from error


def not_loaded(location: str, error: Exception) -> ConfigurationError:
    """The error for a file that ``error`` keeps from being loaded with the libraries of this machine."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        module = error.name.partition(".")[0]
        return ConfigurationError(
            f"{location} needs the module {module}, which is not installed here: "
            f"pip install {distribution_of(module)}. If it is a module of your own, put it beside your pipelines."
        )
    if isinstance(error, AttributeError) and "__main__" in str(error):  # the text has what to do
        return ConfigurationError(f"{location} cannot be loaded: {clause(error_text(error))}.")
    return ConfigurationError(
        f"{location} cannot be loaded with the libraries of this machine ({clause(error_text(error))}): "
        "install the libraries that it was written with, or fit the model again and write the file."
    )


def with_remarks(load: Callable[[], T], location: str) -> tuple[T, list[str]]:
    """The result of ``load``, and what scikit-learn says if another version of it wrote the file.

    scikit-learn warns once for each part of a pipeline. Here it is one sentence. Other warnings go on.
    """
    from sklearn.exceptions import InconsistentVersionWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InconsistentVersionWarning)
        loaded = load()
    versions = set()
    for each in caught:
        if isinstance(each.message, InconsistentVersionWarning):
            versions.add((each.message.original_sklearn_version, each.message.current_sklearn_version))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno, source=each.source)
    return loaded, [
        f"{location} was written with scikit-learn {original}, and {current} is installed here: its predictions may be "
        f"wrong. Fit it again, or install scikit-learn=={original}."
        for original, current in sorted(versions)
    ]

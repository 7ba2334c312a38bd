"""The libraries that only some models or features need, and the extra of Batchord that installs each.

This is the only place that names them to people: whoever needs one calls :func:`require` before it imports the library.
"""

from collections.abc import Collection
from enum import StrEnum
from importlib.util import find_spec

from batchord.core.errors import MissingExtra


class Extra(StrEnum):
    """An extra, as in ``pip install 'batchord[sklearn]'``."""

    SKLEARN = "sklearn"
    TRANSFORMERS = "transformers"
    IMAGES = "images"
    ALERTS = "alerts"
    PARQUET = "parquet"
    ONNX = "onnx"
    XGBOOST = "xgboost"
    LIGHTGBM = "lightgbm"
    CATBOOST = "catboost"


#: Extra -> the modules that Batchord itself imports, and their names on the package index.
_MODULES = {
    Extra.SKLEARN: {"sklearn": "scikit-learn", "skops": "skops", "threadpoolctl": "threadpoolctl"},
    Extra.TRANSFORMERS: {
        "torch": "torch",
        "transformers": "transformers",
        "safetensors": "safetensors",
        "huggingface_hub": "huggingface-hub",
    },
    Extra.IMAGES: {"PIL": "Pillow"},
    Extra.ALERTS: {"apprise": "apprise"},
    Extra.PARQUET: {"pyarrow": "pyarrow"},
    Extra.ONNX: {"onnxruntime": "onnxruntime"},
    Extra.XGBOOST: {"xgboost": "xgboost"},
    Extra.LIGHTGBM: {"lightgbm": "lightgbm"},
    Extra.CATBOOST: {"catboost": "catboost"},
}

#: Modules -> their names on the package index, where these differ: those that authors of models use most.
_OTHERWISE_NAMED = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "PyMuPDF",
    "jwt": "PyJWT",
    "psycopg2": "psycopg2-binary",
    "skimage": "scikit-image",
    "yaml": "PyYAML",
}


def distribution_of(module: str) -> str:
    """What to install for a module that is missing: an extra of Batchord, or the name on the package index."""
    extra = next((extra for extra, modules in _MODULES.items() if module in modules), None)
    return _OTHERWISE_NAMED.get(module, module) if extra is None else f"'batchord[{extra}]'"


def missing(extras: Collection[Extra], *, unneeded: Collection[str] = ()) -> str | None:
    """Which libraries are missing in this environment, and how to install them, as a sentence; None if none is.

    It imports none of them. ``unneeded``: modules of the extras that may be missing.
    """
    absent = {
        extra: [
            name for module, name in _MODULES[extra].items() if module not in unneeded and find_spec(module) is None
        ]
        for extra in extras
    }
    lacking = [extra for extra, names in absent.items() if names]
    if not lacking:
        return None
    names = [name for extra in lacking for name in absent[extra]]
    are = "is" if len(names) == 1 else "are"
    return f"{', '.join(names)} {are} not installed here: pip install 'batchord[{','.join(lacking)}]'"


def require(*extras: Extra, for_what: str, unneeded: Collection[str] = ()) -> None:
    """Raises MissingExtra if this environment lacks a library of these extras. ``for_what``: who needs it."""
    lacking = missing(extras, unneeded=unneeded)
    if lacking is not None:
        raise MissingExtra(f"{for_what} cannot be used, because {lacking}")

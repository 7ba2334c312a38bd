"""How skops is imported: without torch."""

import importlib
import sys
from types import ModuleType

#: The part of scikit-learn that imports torch, and holds no estimator.
_IMPORTS_TORCH = "sklearn.externals.array_api_compat.torch"


def import_skops() -> ModuleType:
    """``skops.io``, which lists scikit-learn's estimators at its import, for which it imports all of scikit-learn.

    That would bring torch into each process that loads an estimator: a second and 180 MB, where torch is installed.
    Python takes the entry None for a module that does not exist; scikit-learn passes over it, and can have it later.
    """
    hidden = _IMPORTS_TORCH not in sys.modules
    if hidden:
        sys.modules[_IMPORTS_TORCH] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("skops.io")
    finally:
        if hidden:
            del sys.modules[_IMPORTS_TORCH]

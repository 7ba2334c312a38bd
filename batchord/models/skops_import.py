"""Imports skops without torch."""

import importlib
import sys
from types import ModuleType

#: The part of scikit-learn that imports torch. It holds no estimator.
_IMPORTS_TORCH = "sklearn.externals.array_api_compat.torch"


def import_skops() -> ModuleType:
    """Imports ``skops.io`` without torch.

    When skops is imported, it lists all estimators of scikit-learn, and for that it imports all of scikit-learn. If
    torch is installed, this would import torch into each process that loads an estimator: one second and 180 MB. For
    Python, an entry of None means that the module does not exist, so scikit-learn skips it. It can be imported later.
    """
    hidden = _IMPORTS_TORCH not in sys.modules
    if hidden:
        sys.modules[_IMPORTS_TORCH] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("skops.io")
    finally:
        if hidden:
            del sys.modules[_IMPORTS_TORCH]

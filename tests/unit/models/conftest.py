"""Loads models without any store."""

from collections.abc import Callable
from pathlib import Path

import pytest

from batchord import Model
from batchord.core.declared.loaded_model import LoadedModel
from batchord.models.library import ModelLibrary
from batchord.storage.objects import Objects

Load = Callable[[Model], LoadedModel]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads what is declared, in the version that it has now."""
    library = ModelLibrary(home=tmp_path / "home", objects=Objects())
    return lambda declared: library.load(declared, library.version(declared))

"""Loads models without any store."""

from collections.abc import Callable
from pathlib import Path

import pytest

from batchord.core.declared.models import Model
from batchord.core.ports import LoadedModel
from batchord.models import ModelLibrary
from batchord.storage.objects import Objects

Load = Callable[[Model], LoadedModel]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads what is declared, in the version that it has now."""
    library = ModelLibrary(home=tmp_path / "home", objects=Objects())
    return lambda declared: library.load(declared, library.version(declared))

"""Loads models without any store."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.adapters.models import ModelLibrary
from app.adapters.objects import Objects
from app.core.models import Model
from app.core.ports import LoadedModel

Load = Callable[[Model], LoadedModel]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads what is declared, in the version that it has now."""
    library = ModelLibrary(home=tmp_path / "home", objects=Objects())
    return lambda declared: library.load(declared, library.version(declared))

"""A catalog that takes up edits, and what the tests of it write and ask."""

from collections.abc import Callable
from typing import Any

from batchord import FunctionModel
from batchord.catalog import LiveCatalog

#: A catalog of the test's folder, as another process has it.
Open = Callable[[], LiveCatalog]


def scoring(name: str, value: str, head: str = "") -> str:
    """A pipeline file whose model returns ``value``."""
    return f"""
{head}
from batchord import Pipeline, SqlSource, every

def model(frame):
    return {value}

pipeline = Pipeline("{name}", schedule=every(hours=1), source=SqlSource("SELECT 1 AS id", key="id"), model=model)
"""


def call(catalog: Any, name: str) -> Any:
    """What the model of the one pipeline returns now."""
    model = catalog.get(name).predict_steps[0].declared_model
    assert isinstance(model, FunctionModel)
    return model.function(None)

"""What goes wrong inside a model, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from billiard.exceptions import SoftTimeLimitExceeded

from app.core.errors import BatchordError, ModelError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def predicting(version: str, frame: "pd.DataFrame") -> Iterator[None]:
    """Turns whatever a model raises for ``frame`` into a ModelError that names the version and the records."""
    try:
        yield
    except (BatchordError, MemoryError, SoftTimeLimitExceeded):
        raise  # ours already, or no fault of the model's: the worker's memory, Celery's clock
    except Exception as error:
        keys = f"{frame.index[0]!r} to {frame.index[-1]!r}" if len(frame) else "none"
        raise ModelError(
            f"{version} failed on {len(frame)} records (keys {keys}): {type(error).__name__}: {error}. "
            "Predict these records by hand to see why."
        ) from error

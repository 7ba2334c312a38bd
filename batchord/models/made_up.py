"""Made-up records with which two copies of an estimator are compared."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_WORDS = 12


def made_up_records(estimator: Any, rows: int) -> Any:
    """Records that the estimator was fitted for, as far as it shows: words, categories or numbers; None: unknown."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(0)
    first = _first(estimator)
    if hasattr(first, "vocabulary_"):
        return pd.Series(_values(first, 0, rows, random))
    count = getattr(estimator, "n_features_in_", None)
    if not isinstance(count, int):
        return None
    names = list(getattr(estimator, "feature_names_in_", range(count)))
    frame = pd.DataFrame({name: _values(first, place, rows, random) for place, name in enumerate(names)})
    for _, transformer, columns in getattr(first, "transformers_", ()):
        chosen = [columns] if isinstance(columns, str | int) else columns
        if isinstance(chosen, list) and all(column in frame.columns for column in chosen):
            for place, column in enumerate(chosen):
                frame[column] = _values(_first(transformer), place, rows, random)
    return frame if hasattr(estimator, "feature_names_in_") else frame.to_numpy()


def _first(estimator: Any) -> Any:
    """What reads the records: the first step of a pipeline."""
    steps = getattr(estimator, "steps", None)
    return _first(steps[0][1]) if steps else estimator


def _values(reader: Any, place: int, rows: int, random: "np.random.Generator") -> Any:
    """Values of the column at ``place`` of those that ``reader`` reads."""
    import numpy as np

    vocabulary, categories = getattr(reader, "vocabulary_", None), getattr(reader, "categories_", None)
    if vocabulary:
        words = sorted(map(str, vocabulary))
        return [" ".join(random.choice(words, _WORDS)) for _ in range(rows)]
    if categories is not None and place < len(categories) and len(categories[place]):
        return np.asarray(categories[place])[random.integers(len(categories[place]), size=rows)]
    return random.normal(size=rows)

"""A transformer as many write it: fit learns nothing, and leaves nothing behind that ends with "_"."""

from typing import Any, Self

from sklearn.base import BaseEstimator, TransformerMixin


class Tripled(BaseEstimator, TransformerMixin):
    """Three times its input."""

    def fit(self, features: Any, labels: Any = None) -> Self:  # noqa: ARG002 -- scikit-learn's signature
        """Learns nothing."""
        return self

    def transform(self, features: Any) -> Any:
        """Three times the features."""
        return features * 3

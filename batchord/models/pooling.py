"""Makes one vector per text from one vector per token."""

from pathlib import Path
from typing import Any

from batchord.core.errors import ConfigurationError
from batchord.models.tensors import notes


class Pooling:
    """One vector per text from one per token: the mean or the first, scaled to length 1 or not.

    A folder made by sentence-transformers says which (``1_Pooling``, ``modules.json``). For any other folder it is the
    plain mean, not normalised.
    """

    def __init__(self, *, first: bool = False, normalise: bool = False) -> None:
        self._first = first
        self._normalise = normalise

    @classmethod
    def of(cls, folder: Path, location: str) -> "Pooling":
        """The pooling that the folder describes. Raises ConfigurationError for modules that are not supported."""
        wanted = notes(folder, "1_Pooling/config.json", location) or {}
        chosen = {name for name, value in wanted.items() if name.startswith("pooling_mode_") and value is True}
        if wanted.get("pooling_mode"):  # newer versions name the mode
            chosen = {f"pooling_mode_{wanted['pooling_mode']}"}
        modules = notes(folder, "modules.json", location) or []
        kinds = {str(module["type"]).rpartition(".")[2] for module in modules}
        unsupported = kinds - {"Transformer", "Pooling", "Normalize"}
        mean = {"pooling_mode_mean_tokens", "pooling_mode_mean"}
        first = {"pooling_mode_cls_token", "pooling_mode_cls"}
        if unsupported or len(chosen) > 1 or chosen - mean - first:
            raise ConfigurationError(
                f"{location} makes its embeddings with {sorted(unsupported | chosen)}, which Batchord does not "
                "support: use a model with mean or cls pooling, or write a function model."
            )
        return cls(first=bool(chosen & first), normalise="Normalize" in kinds)

    def __call__(self, states: Any, mask: Any) -> Any:
        """Vectors of rows x width, from states of rows x tokens x width and a mask of rows x tokens."""
        import torch

        if self._first:
            vectors = states[:, 0]
        else:
            weights = mask.unsqueeze(-1).to(states.dtype)
            vectors = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        return torch.nn.functional.normalize(vectors, dim=-1) if self._normalise else vectors

"""Transformers models over texts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchord.models.failures import filled_column, predicting
from batchord.models.pooling import Pooling
from batchord.models.tensors import (
    classified,
    columns_without_rows,
    device_of,
    embedded,
    joined,
    load_weights,
    set_up_torch,
)
from batchord.models.tokens import Tokens, micro_batches
from batchord.models.transformer import TransformersText

if TYPE_CHECKING:
    import pandas as pd

#: Tokens with padding in one forward pass. A CPU is faster with few: MiniLM predicted 83 texts a second with 256 or 512
#: tokens and 65 with 4,096. A BERT of the usual size predicted 9.9 with 512 and 4.8 with 4,096, whose values no longer
#: fit the caches. A GPU needs more.
_BUDGET_CPU, _BUDGET_CARD = 512, 65_536
#: In ordinary texts.
_CHARACTERS_PER_TOKEN = 4


def load_text_model(
    declared: TransformersText, version: str, folder: Path, *, threads: int, copied: bool
) -> "LoadedTextModel":
    """Reads tokenizer and weights from ``folder``. Raises ModelNotFound or ConfigurationError."""
    set_up_torch(threads)
    from transformers import AutoModel, AutoModelForSequenceClassification

    device = device_of(declared.device)
    auto_class = AutoModel if declared.task == "embed" else AutoModelForSequenceClassification
    model = load_weights(auto_class, folder, declared, device, copied=copied)
    tokens = Tokens(folder, declared.location, model, max_tokens=declared.max_tokens)
    pooling = Pooling.of(folder, declared.location)
    return LoadedTextModel(declared, version, model=model, tokens=tokens, pooling=pooling, device=device)


class LoadedTextModel:
    """Implements :class:`.LoadedModel`: ``label`` and ``score``, or ``embedding``.

    Column ``truncated`` is True if the text had more tokens than the model reads.
    """

    picture_side = None
    reads = None

    def __init__(
        self, declared: TransformersText, version: str, *, model: Any, tokens: Tokens, pooling: Pooling, device: str
    ) -> None:
        self.version = version
        self.runs_on = device.partition(":")[0]
        self._declared = declared
        self._model = model
        self._no_rows = columns_without_rows(model, declared)
        self._tokens = tokens
        self.costly_characters = tokens.limit * _CHARACTERS_PER_TOKEN
        self._pooling = pooling
        self._device = device
        self._budget = _BUDGET_CPU if device == "cpu" else _BUDGET_CARD

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """See :meth:`.LoadedModel.predict`. Inside, it sorts rows by length; it returns them in their old order."""
        import pandas as pd

        with predicting(self.version, frame):
            rows = self._tokens.encode(self._texts(frame)) if len(frame) else []
            order: list[int] = []
            parts = [self._no_rows]
            for chosen in micro_batches(rows, self._budget):
                parts.append(self._forward(self._tokens.padded([rows[row] for row in chosen], self._device)))
                order.extend(chosen)
            back = sorted(range(len(order)), key=order.__getitem__)
            columns = {name: [values[place] for place in back] for name, values in joined(parts).items()}
            return pd.DataFrame(columns | {"truncated": [row.truncated for row in rows]}, index=frame.index)

    def _texts(self, frame: "pd.DataFrame") -> list[str]:
        column = str(self._declared.text)
        return [str(text) for text in filled_column(frame, column, version=self.version, argument=f"text={column!r}")]

    def _forward(self, inputs: dict[str, Any]) -> dict[str, list[Any]]:
        import torch

        with torch.inference_mode():
            output = self._model(**inputs)
            if self._declared.task == "classify":
                return classified(self._model, output.logits, self._declared)
            vectors = self._pooling(output.last_hidden_state.float(), inputs["attention_mask"])
            return embedded(vectors)

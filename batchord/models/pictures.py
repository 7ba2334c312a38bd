"""Transformers models over images."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchord.core.errors import ConfigurationError
from batchord.models.failures import filled_column, predicting
from batchord.models.tensors import (
    classified,
    columns_without_rows,
    device_of,
    embedded,
    joined,
    load_weights,
    set_up_torch,
)
from batchord.models.transformer import TransformersImage

if TYPE_CHECKING:
    import pandas as pd

#: Pictures in one forward pass. A CPU is faster with few: MobileNetV2 predicted 50 pictures a second in groups of four,
#: but 32 in groups of sixteen, whose intermediate values no longer fit the caches.
_ROWS_CPU, _ROWS_CARD = 4, 64
#: The number of dimensions of a batch of pictures, and of the states of a network that keeps rows and columns.
_GRID = 4


def load_picture_model(
    declared: TransformersImage, version: str, folder: Path, *, threads: int, copied: bool
) -> "LoadedPictureModel":
    """Reads the processor's settings and the weights from ``folder``. Raises ModelNotFound or ConfigurationError."""
    set_up_torch(threads)
    import torch
    from transformers import AutoImageProcessor, AutoModel, AutoModelForImageClassification

    device = device_of(declared.device)
    try:
        # Always use this backend: if torchvision is installed, the default one resizes in another way.
        processor = AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, backend="pil"
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ConfigurationError(
            f"{declared.location} has no usable image processor ({error}): save one there with "
            "image_processor.save_pretrained, which writes preprocessor_config.json."
        ) from error
    auto_class = AutoModel if declared.task == "embed" else AutoModelForImageClassification
    model = load_weights(auto_class, folder, declared, device, copied=copied)
    # Convolutions on a CPU are faster if the channels of a pixel lie side by side.
    return LoadedPictureModel(declared, version, model.to(memory_format=torch.channels_last), processor, device)


class LoadedPictureModel:
    """Implements :class:`.LoadedModel`: ``label`` and ``score``, or ``embedding``.

    An embedding is the mean of the last states over all places of the picture. It is not normalised. The model's own
    pooler is not used: in many checkpoints it was never trained.
    """

    costly_characters = None
    reads = None

    def __init__(self, declared: TransformersImage, version: str, model: Any, processor: Any, device: str) -> None:
        self.version = version
        self.runs_on = device.partition(":")[0]
        self.picture_side = _side(processor)
        self._declared = declared
        self._model = model
        self._no_rows = columns_without_rows(model, declared)
        self._processor = processor
        self._device = device
        self._rows = _ROWS_CPU if device == "cpu" else _ROWS_CARD

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """See :meth:`.LoadedModel.predict`. The images' column holds PIL images in RGB."""
        import pandas as pd

        with predicting(self.version, frame):
            images = self._images(frame)
            parts = [self._no_rows]
            parts += [self._forward(images[at : at + self._rows]) for at in range(0, len(images), self._rows)]
            return pd.DataFrame(joined(parts), index=frame.index)

    def _images(self, frame: "pd.DataFrame") -> list[Any]:
        column = self._declared.images.column if self._declared.images is not None else ""
        argument = f"images=Images(column={column!r})"
        return list(filled_column(frame, column, version=self.version, argument=argument))

    def _forward(self, images: list[Any]) -> dict[str, list[Any]]:
        import torch

        pixels = self._processor(images=images, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            pixels = pixels.to(self._device, self._model.dtype, memory_format=torch.channels_last)
            output = self._model(pixel_values=pixels)
            if self._declared.task == "classify":
                return classified(self._model, output.logits, self._declared)
            states = output.last_hidden_state.float()
            vectors = states.mean((2, 3)) if states.ndim == _GRID else states.mean(1)
            return embedded(vectors)


def _side(processor: Any) -> int | None:
    """The greatest length to which the processor scales a picture's shorter side; None if it scales in another way."""
    if not processor.do_resize:
        return None
    size = dict(processor.size)
    sides = (size.get("shortest_edge"), size.get("height"), size.get("width"))
    return max((side for side in sides if side), default=None)

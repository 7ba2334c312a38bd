"""Which options of a declaration are part of the model's version."""

from dataclasses import dataclass, fields

import pytest

from batchord import (
    FunctionModel,
    Images,
    Model,
    OnnxModel,
    SklearnModel,
    TransformersImage,
    TransformersText,
    XGBoostModel,
)
from batchord.core.declared.models import IN_VERSION
from batchord.models.versions import version_of

_IMAGES = Images(column="loc", allow=["s3://b/"])


@pytest.mark.parametrize(
    ("declared", "digits"),
    [
        (TransformersText("x", text="body"), "+3ee5e600"),
        (
            TransformersText("x", text="body", max_tokens=64, dtype="bfloat16", task="embed", device="cpu"),
            "+2952cf79",
        ),
        (TransformersImage("y", images=_IMAGES, proba="all"), "+3f7e5365"),
        (
            TransformersImage("y", images=Images(column="q", allow=["s3://b/"], reduce=False, max_pixels=4)),
            "+16817f1b",
        ),
        (SklearnModel("z", features=["a", "b"], trusted=["t"]), "+290c69c9"),
        (SklearnModel("z"), ""),
        (SklearnModel("z", text="t", proba="yes", empty="predict"), "+00e19965"),
        (XGBoostModel("z"), ""),
        (XGBoostModel("z", features=["a"], classes=["no", "yes"], proba="yes"), "+72b67792"),
        (OnnxModel("z", features=["a"], classes=["no", "yes"], logits=True), "+371ad02c"),
    ],
)
def test_a_version_stays_what_it_was(declared: Model, digits: str) -> None:
    """Another digest for the same options would predict nothing anew, but look like another model."""
    assert version_of("m", "d" * 12, declared) == f"m@{'d' * 12}{digits}"


def test_an_option_that_is_added_is_part_of_the_version() -> None:
    """An option stays out only if it is declared to affect no prediction, so none can be forgotten."""

    @dataclass(frozen=True)
    class Sharper(TransformersText):
        sharpness: float = 1.0

    plain, sharp = (Sharper("x", text="body", sharpness=value) for value in (1.0, 2.0))

    assert version_of("m", "d", sharp) != version_of("m", "d", plain)


def test_what_is_left_out_is_known() -> None:
    """Of each kind: where the weights are, and what decides only whether and on what a record is predicted."""
    left_out = {
        kind.__name__: {each.name for each in fields(kind) if each.metadata.get(IN_VERSION, each.name) is None}
        for kind in (Images, FunctionModel, SklearnModel, OnnxModel, XGBoostModel, TransformersText, TransformersImage)
    }

    assert left_out == {
        "Images": {"allow", "max_bytes", "max_pixels", "max_seconds", "formats"},
        "FunctionModel": {"empty", "function", "version"},
        "SklearnModel": {"empty", "location", "trusted", "trust_pickle"},
        "OnnxModel": {"empty", "location"},
        "XGBoostModel": {"empty", "location"},
        "TransformersText": {"empty", "location", "revision", "device"},
        "TransformersImage": {"empty", "location", "revision", "device"},
    }

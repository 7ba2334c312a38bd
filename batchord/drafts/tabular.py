"""Drafts whose model is a file that another library wrote, over the columns of a table."""

from typing import NamedTuple

from batchord.drafts.draft import DraftKind
from batchord.drafts.pipeline_file import Argument
from batchord.drafts.python_text import listed, literal


class _Kind(NamedTuple):
    declaration: str
    suffix: str
    written_by: str


_KINDS = {
    DraftKind.XGBOOST: _Kind("XGBoostModel", ".ubj", 'model.save_model("model.ubj")'),
    DraftKind.LIGHTGBM: _Kind("LightGBMModel", ".txt", 'model.booster_.save_model("model.txt")'),
    DraftKind.CATBOOST: _Kind("CatBoostModel", ".cbm", 'model.save_model("model.cbm")'),
    DraftKind.ONNX: _Kind("OnnxModel", ".onnx", "skl2onnx and other exporters"),
}


def place_for(kind: DraftKind, name: str) -> str:
    """Where the draft looks for its model if the author names no place."""
    return f"models/{name}{_KINDS[kind].suffix}"


def tabular_model(kind: DraftKind, location: str, features: list[str]) -> Argument:
    """A model at ``location``. ``features``: the columns from which it takes those that it knows by name."""
    declaration, _, written_by = _KINDS[kind]
    inputs = "# In the order of the training. Leave it out if the graph has an input for each column."
    if kind is DraftKind.ONNX:
        reads = [f"        {inputs}", listed("features=", map(literal, features), indent=2, end=",")]
    else:
        reads = [
            "        # It takes the columns whose names its file holds. If it was trained without names, give",
            "        # features=[…] in the order of the training.",
        ]
    return Argument(
        lines="\n".join(
            [
                '    # Names of classes: classes=["no", "yes"], in the order of their numbers.',
                f"    model={declaration}(",
                f"        # written by {written_by}; or s3://bucket/key{_KINDS[kind].suffix}",
                f"        {literal(location)},",
                *reads,
                "    ),",
            ]
        ),
        names=frozenset({declaration}),
    )

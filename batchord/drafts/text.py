"""Drafts whose model is a transformers model for texts."""

from batchord.drafts.pipeline_file import Argument
from batchord.drafts.python_text import literal


def text_model(location: str, text: str) -> Argument:
    """A transformers model at ``location``, for the column ``text``."""
    return Argument(
        lines="\n".join(
            [
                "    model=TransformersText(",
                "        # A folder with config.json and *.safetensors, or s3://bucket/prefix.",
                '        # For the id of a model on the hub, add revision="…", its commit.',
                f"        {literal(location)},",
                f"        text={literal(text)},  # a record without text is rejected",
                "    ),",
            ]
        ),
        names=frozenset({"TransformersText"}),
    )

"""The contents of the ledger after runs, and the predictions of transformers itself for the same inputs."""

import io
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.acceptance.cluster import Cluster


def found(cluster: Cluster, pipeline: str) -> list[tuple[str, int, int, int]]:
    """State, discovered, predicted and rejected of all ended runs that discovered records, in order."""
    return cluster.sql(
        "SELECT state, discovered, predicted, rejected FROM batchord.runs "
        "WHERE pipeline = %s AND discovered > 0 AND finished_at IS NOT NULL ORDER BY created_at",
        pipeline,
    )


def reasons(cluster: Cluster, pipeline: str) -> dict[str, str]:
    """Why records were rejected, by their keys."""
    return dict(cluster.sql("SELECT record_key, reason FROM batchord.rejections WHERE pipeline = %s", pipeline))


def summary(cluster: Cluster, pipeline: str) -> dict[str, Any]:
    """The summary of the run of the first load."""
    (found, *_) = cluster.sql(
        "SELECT summary #> '{steps,predict}' FROM batchord.runs "
        "WHERE pipeline = %s AND discovered > 0 ORDER BY created_at",
        pipeline,
    )
    summary: dict[str, Any] = found[0]
    return summary


def assert_pinned(cluster: Cluster, pipeline: str, name: str) -> None:
    """Predictions are of the version that their run pinned, and it names the model."""
    pairs = cluster.sql(
        "SELECT DISTINCT prediction.model_version, run.models->>'predict' FROM batchord.predictions AS prediction "
        "JOIN batchord.runs AS run ON run.id = prediction.run_id WHERE prediction.pipeline = %s",
        pipeline,
    )
    ((written, pinned),) = pairs
    assert written == pinned
    assert written.startswith(name)


def assert_predicted(cluster: Cluster, pipeline: str, expected: Mapping[str, tuple[str | None, float]]) -> None:
    """Records of these keys have these labels and scores; others are not looked at."""
    written = {
        key: (label, score)
        for key, label, score in cluster.sql(
            "SELECT record_key, label, score FROM batchord.predictions WHERE pipeline = %s", pipeline
        )
        if key in expected
    }
    assert {key: label for key, (label, _) in written.items()} == {key: label for key, (label, _) in expected.items()}
    scores = {key: score for key, (_, score) in expected.items()}
    assert {key: score for key, (_, score) in written.items()} == pytest.approx(scores, abs=1e-4)


def read_text(folder: Path, text: str) -> tuple[str, float]:
    """What transformers says of one text, without Batchord, batches or padding."""
    import torch

    tokenizer, model = _text_model(folder)
    with torch.inference_mode():
        return _best(model, model(**tokenizer(text, truncation=True, return_tensors="pt")).logits)


def look_at(folder: Path, data: bytes) -> tuple[str, float]:
    """As :func:`read_text`, of one image."""
    import torch

    processor, model = _image_model(folder)
    with torch.inference_mode():
        return _best(model, model(**processor(Image.open(io.BytesIO(data)), return_tensors="pt")).logits)


@lru_cache
def _text_model(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    return AutoTokenizer.from_pretrained(folder), AutoModelForSequenceClassification.from_pretrained(folder)


@lru_cache
def _image_model(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    return AutoImageProcessor.from_pretrained(folder), AutoModelForImageClassification.from_pretrained(folder).eval()


def _best(model: Any, logits: Any) -> tuple[str, float]:
    shares = logits.softmax(dim=-1)[0]
    return model.config.id2label[int(shares.argmax())], float(shares.max())

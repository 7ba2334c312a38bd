"""What is particular to transformers models: their columns, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from batchord import Images, Model, TransformersImage, TransformersText
from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.errors import ConfigurationError, ModelError
from tests.contracts import small_models

pytestmark = pytest.mark.torch

Load = Callable[[Model], LoadedModel]


def texts(*values: Any) -> pd.DataFrame:
    """Records with these texts."""
    return pd.DataFrame({"body": list(values)}, index=pd.RangeIndex(len(values)))


def change(folder: Path, name: str, **values: Any) -> None:
    """Sets values in one of a model's JSON files."""
    file = folder / name
    old = json.loads(file.read_text()) if file.exists() else {}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(old | values))


def test_texts_that_are_cut_are_marked(load: Load, tmp_path: Path) -> None:
    """Exactly as many tokens as the model reads are not cut; one more is."""
    folder = small_models.save_text_classifier(tmp_path / "m")

    output = load(TransformersText(str(folder), text="body", max_tokens=8)).predict(
        texts("good " * 6, "good " * 7, "good " * 100_000, " " * 5000 + "good")
    )

    assert output["truncated"].tolist() == [False, True, True, False]
    assert output["score"].iloc[1] == pytest.approx(output["score"].iloc[0], abs=1e-5)
    assert (
        output["label"].iloc[3] == load(TransformersText(str(folder), text="body")).predict(texts("good"))["label"][0]
    )


def test_broken_texts_do_not_stop_the_tokenizer(load: Load, tmp_path: Path) -> None:
    """Half a surrogate pair, NUL, nothing at all."""
    folder = small_models.save_text_classifier(tmp_path / "m")

    output = load(TransformersText(str(folder), text="body")).predict(texts("good \ud800", "a\x00b", "", "\udfff" * 99))

    assert output["score"].between(0, 1).all()
    with pytest.raises(ModelError, match="the first with key 1"):
        load(TransformersText(str(folder), text="body")).predict(texts("good", None))


def test_more_tokens_than_positions_are_refused(load: Load, tmp_path: Path) -> None:
    """At load, not in the middle of a run."""
    folder = small_models.save_text_classifier(tmp_path / "m")

    for max_tokens in (65, 2):
        with pytest.raises(ConfigurationError, match="takes between 3 and 64 tokens"):
            load(TransformersText(str(folder), text="body", max_tokens=max_tokens))


def test_several_labels_at_once(load: Load, tmp_path: Path) -> None:
    """Each label has a probability of its own; those of at least one half are listed."""
    folder = small_models.save_text_classifier(tmp_path / "m")
    change(folder, "config.json", problem_type="multi_label_classification")

    output = load(TransformersText(str(folder), text="body")).predict(texts("good film", "awful", "very poor book"))

    for labels, label, score in zip(output["labels"], output["label"], output["score"], strict=True):
        assert (label in labels) == (score >= 0.5)
        assert set(labels) <= {"good", "bad"}


def test_an_embedding_follows_the_folders_own_pooling(load: Load, tmp_path: Path) -> None:
    """First token and length 1 where sentence-transformers says so; otherwise the plain mean."""
    folder = small_models.save_text_embedder(tmp_path / "m")
    declared = TransformersText(str(folder), text="body", task="embed")
    plain = np.array(load(declared).predict(texts("good film"))["embedding"][0])
    change(folder, "1_Pooling/config.json", pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)
    kinds = [{"type": f"sentence_transformers.models.{kind}"} for kind in ("Transformer", "Pooling", "Normalize")]
    (folder / "modules.json").write_text(json.dumps(kinds))
    first = np.array(load(declared).predict(texts("good film"))["embedding"][0])

    assert plain.shape == first.shape == (32,)
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5) != np.linalg.norm(plain)
    change(folder, "1_Pooling/config.json", pooling_mode_cls_token=False, pooling_mode_max_tokens=True)
    with pytest.raises(ConfigurationError, match="pooling_mode_max_tokens"):
        load(declared)


def test_a_missing_head_is_not_made_up(load: Load, tmp_path: Path) -> None:
    """Left alone, transformers would fill it at random, and every prediction would be noise."""
    folder = small_models.save_text_embedder(tmp_path / "m")

    with pytest.raises(ConfigurationError, match=r"lacks weights .*classifier\.(bias|weight).*fine-tune"):
        load(TransformersText(str(folder), text="body"))


def test_code_in_a_model_is_never_run(load: Load, tmp_path: Path) -> None:
    """A folder that asks for its own Python code is refused."""
    folder = small_models.save_text_classifier(tmp_path / "m")
    change(
        folder,
        "config.json",
        model_type="own",
        auto_map={"AutoConfig": "own.Config", "AutoModelForSequenceClassification": "own.Model"},
    )
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")

    with pytest.raises(ConfigurationError, match="code of its own"):
        load(TransformersText(str(folder), text="body"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("replace", [lambda data: bytes(len(data)), lambda _: b""], ids=["zeros", "cut"])
def test_writing_over_the_file_does_not_reach_a_loaded_model(
    load: Load, tmp_path: Path, replace: Callable[[bytes], bytes]
) -> None:
    """The predictions of a version stay its own, and the process lives."""
    folder = small_models.save_text_classifier(tmp_path / "m")
    model = load(TransformersText(str(folder), text="body"))
    before = model.predict(texts("good film", "awful"))
    weights = folder / "model.safetensors"

    weights.write_bytes(replace(weights.read_bytes()))

    assert model.predict(texts("good film", "awful")).equals(before)


@pytest.mark.parametrize("damage", [b"", b"\x00" * 100])
def test_damaged_weights_are_refused(load: Load, tmp_path: Path, damage: bytes) -> None:
    """A file cut short by a full disk."""
    folder = small_models.save_text_classifier(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(damage)

    with pytest.raises(ModelError, match="Save the model again"):
        load(TransformersText(str(folder), text="body"))


def test_a_folder_without_tokenizer_or_processor_is_refused(load: Load, tmp_path: Path) -> None:
    """With what to save there."""
    folder = small_models.save_text_classifier(tmp_path / "t")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConfigurationError, match=r"has no tokenizer\.json"):
        load(TransformersText(str(folder), text="body"))
    folder = small_models.save_image_classifier(tmp_path / "i")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ConfigurationError, match="image processor"):
        load(TransformersImage(str(folder), images=Images(column="photo", allow=("s3://photos/",))))


@pytest.mark.parametrize("task", ["classify", "embed"])
@pytest.mark.parametrize("kind", ["text", "image"])
def test_bfloat16_gives_nearly_the_same(load: Load, tmp_path: Path, kind: str, task: str) -> None:
    """Columns of the same types, values that agree in their first digits."""
    save = {
        ("text", "classify"): small_models.save_text_classifier,
        ("text", "embed"): small_models.save_text_embedder,
        ("image", "classify"): small_models.save_image_classifier,
        ("image", "embed"): small_models.save_image_embedder,
    }[kind, task]
    folder = str(save(tmp_path / "m"))
    found = {}
    for dtype in ("float32", "bfloat16"):
        if kind == "text":
            declared: Model = TransformersText(folder, text="body", task=task, dtype=dtype)  # type: ignore[arg-type]
            frame = texts("good", "a bad one", "bad " * 30)
        else:
            images = Images(column="photo", allow=("s3://photos/",))
            declared = TransformersImage(folder, images=images, task=task, dtype=dtype)  # type: ignore[arg-type]
            colours = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "white")]
            frame = pd.DataFrame({"photo": colours})
        found[dtype] = load(declared).predict(frame)
    column = "score" if task == "classify" else "embedding"
    exact, near = (np.array(found[dtype][column].tolist()) for dtype in ("float32", "bfloat16"))
    assert near.dtype == exact.dtype
    assert near == pytest.approx(exact, abs=0.05 * np.abs(exact).max())
    assert not (near == exact).all()


def test_a_processor_without_bfloat16_says_so(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It works all the same, slower than float32."""
    import torch

    folder = str(small_models.save_text_classifier(tmp_path / "m"))
    for column, has, said in (("body", True, False), ("title", False, True)):  # what is loaded is not loaded again
        capabilities = {"avx512_bf16": has, "avx2": True}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
        caplog.clear()
        load(TransformersText(folder, text=column, dtype="bfloat16"))
        assert ("has no bfloat16 instructions" in caplog.text) is said


@pytest.mark.parametrize(
    ("settings", "side"),
    [
        ({}, 32),
        ({"size": {"shortest_edge": 48}}, 48),
        ({"size": {"height": 24, "width": 40}}, 40),
        ({"size": {"longest_edge": 48}}, None),
        ({"do_resize": False}, None),
    ],
)
def test_the_side_that_pictures_are_scaled_to(
    load: Load, tmp_path: Path, settings: dict[str, Any], side: int | None
) -> None:
    """As the model's own processor says; where it says nothing of the shorter side, pictures stay as they are."""
    folder = small_models.save_image_classifier(tmp_path / "i")
    change(folder, "preprocessor_config.json", **settings)

    found = load(TransformersImage(str(folder), images=Images(column="photo", allow=("s3://photos/",))))

    assert found.picture_side == side


def test_a_device_that_is_absent_is_named(load: Load, tmp_path: Path) -> None:
    """Quietly taking the CPU would make a run many times slower."""
    folder = small_models.save_text_classifier(tmp_path / "m")

    with pytest.raises(ConfigurationError, match="device='cuda:99'"):
        load(TransformersText(str(folder), text="body", device="cuda:99"))

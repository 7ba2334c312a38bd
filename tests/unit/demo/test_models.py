"""The demo's models are built whole or not at all, once, and are good enough to show."""

from pathlib import Path

import pytest

from demo import pictures, sentiment, topics
from demo.models import build_models


class Recorded:
    """A recipe that counts how often it is followed."""

    NAME = "recorded"
    DOING = "Building"

    def __init__(self) -> None:
        self.REVISION = 1
        self.built = 0
        self.fails = False

    def build(self, folder: Path) -> tuple[str, float, int]:
        """One file and a fixed measure."""
        (folder / "weights").write_text(str(self.built))
        if self.fails:
            raise ValueError("out of disk")
        self.built += 1
        return "held-out rows", 0.9, 10


def test_a_model_is_built_once(tmp_path: Path) -> None:
    """The second call finds it and says nothing."""
    recipe, said = Recorded(), list[str]()

    first = build_models(tmp_path, said.append, [recipe])
    second = build_models(tmp_path, said.append, [recipe])

    assert first == second
    assert (recipe.built, said) == (1, ["Building"])
    assert first[0].location == str(tmp_path / "recorded")


def test_a_new_revision_is_built_anew(tmp_path: Path) -> None:
    """A model of an older recipe is not taken for the newer one's."""
    recipe = Recorded()
    build_models(tmp_path, print, [recipe])
    recipe.REVISION = 2

    build_models(tmp_path, print, [recipe])

    assert recipe.built == 2


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    """It leaves neither part of a model nor a draft, and the next call builds again."""
    recipe = Recorded()
    recipe.fails = True
    with pytest.raises(ValueError, match="out of disk"):
        build_models(tmp_path, print, [recipe])
    assert list(tmp_path.iterdir()) == []

    recipe.fails = False
    assert build_models(tmp_path, print, [recipe])[0].accuracy == 0.9


def test_positive_and_negative_reviews_are_distinguished(tmp_path: Path) -> None:
    """Three in four reviews of films that it has not seen are right. Guessing gets 58 %."""
    _, accuracy, n = sentiment.build(tmp_path)

    assert n == 6_466
    assert accuracy > 0.74


@pytest.mark.torch
def test_imagenet_weights_sit_where_they_belong(tmp_path: Path) -> None:
    """Cut-outs of known photographs are recognised; a wrong mapping of names recognises nothing."""
    _, accuracy, n = pictures.build(tmp_path)

    assert n == 70
    assert accuracy > 0.85
    assert (tmp_path / "preprocessor_config.json").exists()


@pytest.mark.torch
def test_a_news_model_is_a_complete_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Safetensors, tokenizer and names of topics; trained for a moment only, which already beats chance."""
    monkeypatch.setattr(topics, "_PER_TOPIC", 12)
    monkeypatch.setattr(topics, "_EPOCHS", 2)
    monkeypatch.setattr(topics, "HELD_OUT", 48)

    _, accuracy, n = topics.build(tmp_path)

    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in tmp_path.iterdir()}
    assert n == 48
    assert accuracy > 0.4

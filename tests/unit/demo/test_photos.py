"""The demo's photos are real JPEGs, each of its own."""

import io

import pytest
from PIL import Image

from batchord.core.errors import ConfigurationError
from demo import files
from demo.photos import photo, photo_name, photos


def test_every_photo_is_a_jpeg_of_its_own() -> None:
    """No two of them have the same bytes, and all can be decoded."""
    made = dict(photos(40))

    assert len(set(made.values())) == 40
    for data in made.values():
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.format == "JPEG"
            assert 280 <= max(picture.size) <= 800
            picture.load()


def test_a_photo_is_the_same_every_time() -> None:
    """A number stands for one picture, wherever a sequence starts."""
    assert list(photos(2, start=5))[1] == (photo_name(6), photo(6))


def test_missing_data_name_the_command_that_fetches_them(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Without the data the error says what to run."""
    monkeypatch.setattr(files, "FOLDER", tmp_path)

    with pytest.raises(ConfigurationError, match="make demo"):
        files.demo_file("skimage/data/coffee.png")

"""Flower's password in a home."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.dashboard.password import flower_password, kept_password
from batchord.core.errors import ConfigurationError


def test_it_is_made_once_and_kept_for_its_owner(tmp_path: Path) -> None:
    """Whoever asks at the same time gets the same one."""
    home = tmp_path / "home"
    assert kept_password(tmp_path) is None
    with ThreadPoolExecutor(8) as pool:
        (password,) = set(pool.map(flower_password, [home] * 8))

    assert len(password) >= 32
    assert kept_password(home) == password
    assert stat.S_IMODE((home / "flower.password").stat().st_mode) == 0o600
    assert flower_password(tmp_path / "other") != password


@pytest.mark.parametrize("damage", [b"", b"\n", b"two words\n", b"\xff\xff"])
def test_a_damaged_file_is_said_and_not_replaced(tmp_path: Path, damage: bytes) -> None:
    """An empty password would open Flower; a new one would lock out whoever knows the old."""
    flower_password(tmp_path)
    (tmp_path / "flower.password").write_bytes(damage)

    with pytest.raises(ConfigurationError, match=r"flower\.password"):
        flower_password(tmp_path)


def test_a_home_that_cannot_be_written_names_the_way_out(tmp_path: Path) -> None:
    """As in a container without a volume."""
    (tmp_path / "run").mkdir()
    (tmp_path / "logs").mkdir()
    (tmp_path / "run" / "flower.lock").mkdir()  # root may write to any folder that is one

    with pytest.raises(ConfigurationError, match="FLOWER_BASIC_AUTH"):
        flower_password(tmp_path)
    assert not (tmp_path / "flower.password").exists()

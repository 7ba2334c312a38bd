"""What a wheel holds: setuptools finds no packages under another name, so they are listed."""

import tomllib
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def test_every_package_is_listed() -> None:
    """``app``, ``workers`` and ``beat`` are installed within ``batchord``; the demo is not installed at all."""
    settings = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = {
        package if top == "batchord" else f"batchord.{package}"
        for top in ("batchord", "app", "workers", "beat")
        for file in (_ROOT / top).rglob("__init__.py")
        for package in [".".join(file.parent.relative_to(_ROOT).parts)]
    }

    assert settings["packages"] == sorted(folders)
    assert settings["package-dir"] == {
        "batchord": "batchord",
        "batchord.app": "app",
        "batchord.workers": "workers",
        "batchord.beat": "beat",
    }

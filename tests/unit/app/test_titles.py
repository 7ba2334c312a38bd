"""Titles in ``ps`` name the project of a stack."""

from pathlib import Path

import pytest

from app.localstack.titles import project_name, title


@pytest.mark.parametrize(
    ("home", "name"),
    [
        ("/work/shop/.batchord", "shop"),
        ("/work/Größe {1}/.batchord", "Gr__e__1_"),
        ("/.batchord", "root"),
        (f"/{'x' * 90}/.batchord", "x" * 40),
    ],
)
def test_a_project_is_named_after_the_folder_of_its_home(home: str, name: str) -> None:
    """Without characters that a server's setting cannot hold."""
    assert project_name(Path(home)) == name
    assert title(Path(home), "supervisor") == f"batchord {name}: supervisor"

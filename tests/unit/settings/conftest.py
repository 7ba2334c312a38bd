"""Fixtures of the tests of settings."""

import pytest


@pytest.fixture(autouse=True)
def _home_of_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests ask where the home is if nobody names it."""
    monkeypatch.delenv("BATCHORD_HOME")

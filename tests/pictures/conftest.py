"""The pictures of README and ``docs/``: ``make pictures`` makes them, and no other run of the tests does."""

from tests.needs.browser.conftest import browser, pictures

__all__ = ["browser", "pictures"]

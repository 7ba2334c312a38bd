"""Which address has which page."""

from typing import Any

from flower.urls import handlers
from tornado.web import StaticFileHandler

from .page import STATIC
from .pipelines import FirstPage, Pause, PipelinesPage, RunNow

_NAME = r"([^/]+)"
ROUTES: list[tuple[Any, ...]] = [
    (r"/", FirstPage),
    (r"/pipelines", PipelinesPage),
    (rf"/pipeline/{_NAME}/run", RunNow),
    (rf"/pipeline/{_NAME}/pause", Pause),
    (r"/batchord-static/(.*)", StaticFileHandler, {"path": str(STATIC)}),
]


def add_pages() -> None:
    """Puts our pages before Flower's, so that ours is the first page. Call it once, before Flower starts."""
    handlers[:0] = ROUTES

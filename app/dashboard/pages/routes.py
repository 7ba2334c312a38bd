"""Which address has which page."""

from typing import Any

from flower.urls import handlers
from tornado.web import StaticFileHandler, URLSpec

from .alerts import AlertsPage
from .audits import AuditsPage
from .history import HistoryPage
from .housekeeping import hide_housekeeping
from .page import STATIC
from .pipelines import FirstPage, Pause, PipelinesPage, RunNow
from .queues import QueuesPage
from .record import RecordPage
from .rejections import RejectionsPage, RetryRejections
from .run import Cancel, Rerun, Retry, RunPage
from .runs import RunsPage

_NAME = r"([^/]+)"
ROUTES: list[Any] = [
    (r"/", FirstPage),
    (r"/alerts", AlertsPage),
    (r"/audits", AuditsPage),
    # Under a url_prefix, Flower drops what a tuple holds beyond the handler.
    URLSpec(r"/batchord-static/(.*)", StaticFileHandler, {"path": str(STATIC)}),
    (r"/history", HistoryPage),
    (rf"/pipeline/{_NAME}/pause", Pause),
    (rf"/pipeline/{_NAME}/run", RunNow),
    (r"/pipelines", PipelinesPage),
    (r"/queues", QueuesPage),
    (r"/record", RecordPage),
    (r"/rejections", RejectionsPage),
    (r"/rejections/retry", RetryRejections),
    (rf"/run/{_NAME}", RunPage),
    (rf"/run/{_NAME}/cancel", Cancel),
    (rf"/run/{_NAME}/rerun", Rerun),
    (rf"/run/{_NAME}/retry", Retry),
    (r"/runs", RunsPage),
]


def add_pages() -> None:
    """Puts our pages before Flower's, so that ours is the first page, and shortens its list of tasks.

    Call it once, before Flower starts.
    """
    handlers[:0] = ROUTES
    hide_housekeeping()

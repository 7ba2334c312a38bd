"""Which pages the benchmark loads, and what it says of them."""

from app.dashboard.pages.routes import ROUTES
from benchmarks.browser import Load
from benchmarks.past import Past
from benchmarks.workloads.pages import HEALTH, labelled, pages_of

_PAST = Past(runs=10, predictions=1000, small_run="1a", large_run="2b", shards=1010)


def test_every_page_is_loaded() -> None:
    """A new page gets a line there; addresses of buttons and files are no pages."""
    asked = {path.partition("?")[0].split("/")[1] for path in pages_of(_PAST).values()}
    patterns = [route[0] if isinstance(route, tuple) else route.regex.pattern for route in ROUTES]
    pages = {pattern.rstrip("$").split("/")[1] for pattern in patterns}
    assert pages - {"", "batchord-static", "pipeline"} <= asked
    assert HEALTH in pages_of(_PAST)


def test_what_a_page_fetches_is_in_its_row() -> None:
    """The first time, and when the browser has the rest in its cache."""
    cold = Load(painted=0.5, answered=0.1, requests=8, bytes=286_700)
    warm = Load(painted=0.2, answered=0.1, requests=1, bytes=300)
    assert labelled("runs", cold, warm) == "runs: first 8 requests, 287 kB; then 1 request, 0 kB"

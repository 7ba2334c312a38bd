"""The pages inside Flower, over a ledger of 100,000 runs: how soon a person sees something, and what Flower takes."""

import time
from collections.abc import Mapping
from statistics import median

from playwright.sync_api import Browser

from batchord.core.text.counts import counted
from benchmarks.browser import Load, chromium, load, person
from benchmarks.measure import Measurement, Row, figure, processor_seconds, proportional_mb, rows
from benchmarks.past import Past, build_past
from benchmarks.peers import Peers
from benchmarks.stack import Stack

NAME = "pages"
#: Predictions of the ledger. There is a run for every 100.
RECORDS = 10_000_000
#: Loads of each page.
TIMES = 20
#: What all pages are compared with: two bytes, from the same Flower.
HEALTH = "two bytes of text (/healthcheck)"
_LOGIN = "operator:of-the-benchmark"
#: Seconds for which a page stands open, for each load: a minute after the usual 20.
_IDLE_SECONDS = 3.0
#: Seconds until Flower does nothing more for the last load.
_CALM_SECONDS = 5.0


def measure(stack: Stack, *, records: int, times: int, peers: Peers | None) -> list[Row]:
    """The rows of the table: pages with seconds to the first contentful paint; then what Flower takes."""
    del peers
    with chromium() as browser:  # first, so that nobody waits for the ledger in vain
        past = build_past(stack, predictions=records)
        print(f"{past.runs:,} runs, {past.predictions:,} predictions; the large run has {past.shards:,} shards")
        return measure_over(stack, past, browser, times=times)


def measure_over(stack: Stack, past: Past, browser: Browser, *, times: int) -> list[Row]:
    """The same over a ledger that is there."""
    stack.start()
    stack.start_beat()
    flower, site = stack.start_flower(_LOGIN)
    memory = [_memory("Flower before the first page", flower)]
    loads = _loads(browser, site, pages_of(past), flower, times)
    memory.append(_memory(f"Flower after {times + 1} loads of each page", flower))
    idle = _idle(browser, site, pages_of(past), flower, times * _IDLE_SECONDS)
    return [*loads, *idle, *memory]


def pages_of(past: Past) -> Mapping[str, str]:
    """The pages by what they are called here."""
    return {
        HEALTH: "/healthcheck",
        "Flower's own tasks": "/tasks",
        "pipelines": "/pipelines",
        "runs": "/runs",
        "runs that failed, of one pipeline": "/runs?pipeline=p07&state=failed",
        "run with 1 shard": f"/run/{past.small_run}",
        f"run with {past.shards:,} shards": f"/run/{past.large_run}",
        "record": "/record?pipeline=p07&key=102",
        "rejections": "/rejections",
        "alerts": "/alerts",
        "audits": "/audits",
        "queues": "/queues",
        "history": "/history",
    }


def labelled(name: str, cold: Load, warm: Load) -> str:
    """The name of a row: the page, and what it fetches the first time and later."""
    first, then = (f"{counted(each.requests, 'request')}, {each.bytes / 1000:,.0f} kB" for each in (cold, warm))
    return f"{name}: first {first}; then {then}"


def _loads(browser: Browser, site: str, pages: Mapping[str, str], flower: int, times: int) -> list[Row]:
    """In turn, so that a slow minute of the machine affects all pages."""
    cold = {name: _cold(browser, site + path) for name, path in pages.items()}
    warm: dict[str, list[Load]] = {name: [] for name in pages}
    busy = dict.fromkeys(pages, 0.0)
    with person(browser, login=_LOGIN) as context:
        page = context.new_page()
        for path in pages.values():
            load(page, site + path)  # fills the cache
        for _ in range(times):
            for name, path in pages.items():
                before = processor_seconds([flower])
                warm[name].append(load(page, site + path))
                busy[name] += processor_seconds([flower]) - before
    labels = {name: labelled(name, cold[name], warm[name][-1]) for name in pages}
    taken = {
        labels[name]: [Measurement(seconds=each.painted, peak_mb=0.0) for each in loaded]
        for name, loaded in warm.items()
    }
    for name, loaded in warm.items():
        print(
            f"{name}: Flower answers in {1000 * median(each.answered for each in loaded):.0f} ms and takes "
            f"{1000 * busy[name] / times:.0f} ms of processor time"
        )
    return rows(NAME, 1, taken, bare=labels[HEALTH])


def _cold(browser: Browser, address: str) -> Load:
    with person(browser, login=_LOGIN) as context:
        return load(context.new_page(), address)


def _idle(browser: Browser, site: str, pages: Mapping[str, str], flower: int, seconds: float) -> list[Row]:
    large = next(name for name in pages if name.startswith("run with") and not name.endswith(" 1 shard"))
    shown = {"no page": None, "pipelines": "/pipelines", "a run": pages["run with 1 shard"], large: pages[large]}
    results = []
    for name, path in shown.items():
        with person(browser, login=_LOGIN) as context:
            if path is not None:
                load(context.new_page(), site + path)
            time.sleep(_CALM_SECONDS)
            before, began = processor_seconds([flower]), time.monotonic()
            time.sleep(seconds)
            busy = processor_seconds([flower]) - before
            share = busy / (time.monotonic() - began)
            results.append(figure(NAME, f"Flower with {name} open: {100 * share:.1f} % of a core", seconds=busy))
    return results


def _memory(what: str, flower: int) -> Row:
    return figure(NAME, what, megabytes=proportional_mb([flower]))

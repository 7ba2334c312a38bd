"""The files of deploy/ for Prometheus and Grafana are valid, and the page lists every metric."""

import re
from pathlib import Path

import yaml

from batchord.reports.metric_names import METRICS
from tests.monitoring import BOARD, CONFIGURATION, RULES, board, queries, rules

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "monitoring.md").read_text("utf-8")


def test_each_query_asks_for_metrics_that_exist() -> None:
    """And each metric of a pipeline, a record or a queue is asked for somewhere."""
    known = {metric.name for metric in METRICS}
    known |= {f"{name}_{part}" for name in known for part in ("sum", "count") if name.endswith("_duration_seconds")}

    assert {query.place: query.metrics - known for query in queries() if query.metrics - known} == {}
    assert all(query.metrics or query.place == "rule BatchordFlowerDown" for query in queries())


def test_each_rule_tells_what_is_wrong_and_what_to_do() -> None:
    """Names are unique, and commands in the descriptions are Batchord's."""
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}


def test_the_board_is_whole() -> None:
    """Each panel has a place of its own, a query and the board's data source."""
    panels = board()["panels"]
    taken = set[tuple[int, int]]()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["targets"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {variable["name"] for variable in board()["templating"]["list"]} == {"datasource", "pipeline"}


def test_the_configuration_holds_no_password() -> None:
    """Prometheus reads it from a file, and knows the rules."""
    configuration = yaml.safe_load(CONFIGURATION.read_text("utf-8"))
    (job,) = configuration["scrape_configs"]

    assert set(job["basic_auth"]) == {"username", "password_file"}
    assert configuration["rule_files"] == [RULES.name]
    assert job["metrics_path"] == "/metrics"


def test_the_page_lists_every_metric() -> None:
    """With its type, its labels and its meaning, as Prometheus gets them."""
    rows = re.findall(r"^\| `(batchord_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    expected = [
        (each.name, str(each.type), ", ".join(f"`{label}`" for label in each.labels), each.meaning) for each in METRICS
    ]

    assert rows == expected


def test_the_page_names_the_files() -> None:
    """So a person finds them."""
    for file in (RULES, CONFIGURATION, BOARD):
        assert str(file.relative_to(ROOT)) in PAGE

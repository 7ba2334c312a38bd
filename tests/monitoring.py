"""What deploy/ has for Prometheus and Grafana, and the queries in it."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
CONFIGURATION = DEPLOY / "prometheus" / "prometheus.yml"
BOARD = DEPLOY / "grafana" / "batchord.json"
#: What Grafana puts into queries before it sends them.
_GRAFANA = {"$pipeline": ".*", "$__rate_interval": "1m"}


class Query(NamedTuple):
    """A query, and where it stands."""

    place: str
    text: str

    @property
    def metrics(self) -> set[str]:
        """The metrics of Batchord that it names."""
        return set(re.findall(r"\bbatchord_\w+", self.text))


def rules() -> list[dict[str, Any]]:
    """The alert rules."""
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def board() -> dict[str, Any]:
    """The board."""
    parsed: dict[str, Any] = json.loads(BOARD.read_text("utf-8"))
    return parsed


def queries() -> list[Query]:
    """All queries of the rules and of the board's panels, as Prometheus gets them."""
    found = [Query(f"rule {rule['alert']}", rule["expr"]) for rule in rules()]
    for panel in board()["panels"]:
        for target in panel["targets"]:
            text = target["expr"]
            for variable, value in _GRAFANA.items():
                text = text.replace(variable, value)
            found.append(Query(f"panel {panel['title']}", text))
    return found


def series(exposition: str) -> set[str]:
    """The names of series that an exposition announces, also of metrics that have no value yet."""
    names = set()
    for name, kind in re.findall(r"^# TYPE (batchord_\w+) (\w+)$", exposition, re.MULTILINE):
        names |= {f"{name}_sum", f"{name}_count"} if kind == "summary" else {name}
    return names

"""What the docs say of metrics, and the dashboard and the alert rules in them, is about metrics that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cwl_ui_plugin.observing import stats
from cwl_ui_plugin.services.observing import families

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "monitoring.md").read_text(encoding="utf-8")
NAME = re.compile(r"\bcwl_\w+")
ROW = re.compile(r"^\| `(?P<name>[\w.-]+)` \| (?P<kind>\w+) \| (?P<unit>[^|]*) \| (?P<rest>.*) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def known(airflow_home: Any) -> dict[str, str]:
    """The metrics of the page for Prometheus, with what is said of each."""
    found = {family.name: family.documentation for group in families.GROUPS.values() for family in group()}
    return {**found, "cwl_scrape_errors": "Whether a group of metrics could not be computed."}


def expressions() -> Iterator[tuple[str, str]]:
    dashboard = json.loads((DOCS / "monitoring" / "grafana-dashboard.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])
    rules = yaml.safe_load((DOCS / "monitoring" / "alert-rules.yml").read_text(encoding="utf-8"))
    for group in rules["groups"]:
        yield from ((rule["alert"], rule["expr"]) for rule in group["rules"])


def test_dashboard_and_rules_use_metrics_that_there_are(known: dict[str, str]) -> None:
    used = {name for _place, expression in expressions() for name in NAME.findall(expression)}
    assert used - known.keys() == set()
    assert len(used) > 10


def test_the_page_lists_the_metrics_of_prometheus(known: dict[str, str]) -> None:
    listed = set(re.findall(r"^\| `(cwl_\w+)", PAGE, re.MULTILINE))
    assert listed == known.keys()


def test_the_page_lists_the_metrics_of_stats() -> None:
    rows = {row["name"]: row for row in ROW.finditer(PAGE) if row["name"].startswith("cwl.")}
    assert rows.keys() == {metric.name for metric in stats.METRICS}
    for metric in stats.METRICS:
        assert (rows[metric.name]["kind"], rows[metric.name]["unit"]) == (metric.kind, metric.unit)


def test_metrics_have_names_as_prometheus_wants_them(known: dict[str, str]) -> None:
    for name, about in known.items():
        assert re.fullmatch(r"cwl_[a-z_]+", name)
        assert about.endswith(".")


def test_no_metric_has_an_unbounded_label(airflow_home: Any) -> None:
    labels = {
        label
        for group in families.GROUPS.values()
        for one in group()
        for sample in one.samples
        for label in sample.labels
    }
    assert labels <= {"check", "state", "loop", "folder", "kind", "version", "airflow_version", "cwltool_version"}

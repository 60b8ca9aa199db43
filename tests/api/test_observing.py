"""The page for Prometheus, the answer about health, the schemas of facets: who gets what."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cwl_ui_plugin.observing.lineage.schema_files import FOLDER
from cwl_ui_plugin.services.observing import checks, families, metrics

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-secret-of-a-scraper"
PAGE = "/cwl/metrics"
HEALTH = "/cwl/api/v1/health"


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """Nothing is remembered of other tests."""
    for kept in (checks, metrics):
        kept.forget()
    yield
    for kept in (checks, metrics):
        kept.forget()


def with_token(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(("role", "status"), [(None, 401), ("viewer", 403), ("user", 403), ("op", 200), ("admin", 200)])
def test_who_may_see_reports_may_see_the_page(client: Callable[..., Any], role: str | None, status: int) -> None:
    assert client(role).get(PAGE).status_code == status


def test_a_scraper_has_a_secret_of_its_own(
    client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("AIRFLOW__CWL__METRICS_TOKEN", TOKEN)
    assert client().get(PAGE, headers=with_token(TOKEN)).status_code == 200
    for wrong in (TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), "", "ä" * 20):
        header = {"Authorization": f"Bearer {wrong}".encode()}
        assert client().get(PAGE, headers=header).status_code in (401, 403), wrong
    assert client().get("/cwl/api/v1/workflows", headers=with_token(TOKEN)).status_code in (401, 403)
    assert TOKEN not in caplog.text
    assert client().get(f"{PAGE}?token={TOKEN}").status_code == 401


def test_a_secret_that_can_be_guessed_is_none(client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__METRICS_TOKEN", "short")
    assert client().get(PAGE, headers=with_token("short")).status_code in (401, 403)
    told = {check["name"]: check for check in client("op").get(HEALTH).json()["checks"]}
    assert told["settings"]["status"] == "warn"
    assert "metrics_token" in told["settings"]["message"]


def test_without_a_secret_an_empty_one_is_none(client: Callable[..., Any]) -> None:
    assert client().get(PAGE, headers={"Authorization": "Bearer "}).status_code in (401, 403)


def test_airflow_hides_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.configuration import conf

    monkeypatch.setenv("AIRFLOW__CWL__METRICS_TOKEN", TOKEN)
    assert TOKEN not in json.dumps(conf.as_dict(display_sensitive=False)["cwl"])


def test_the_page_is_what_prometheus_takes(client: Callable[..., Any]) -> None:
    answer = client("op").get(PAGE)
    found = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"cwl_build_info", "cwl_runs", "cwl_reports_waiting", "cwl_disk_free_bytes", "cwl_health_status"} <= found
    assert answer.headers["content-type"].startswith("text/plain; version=")
    errors = [line for line in answer.text.splitlines() if line.startswith(metrics.ERRORS)]
    assert errors
    assert all(line.endswith(" 0.0") for line in errors)


def test_a_group_that_can_not_be_computed_is_told_of_and_harms_no_other(
    client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise OSError("the disk is gone")

    monkeypatch.setitem(families.GROUPS, "disks", broken)
    text = client("op").get(PAGE).text
    assert 'cwl_scrape_errors{group="disks"} 1.0' in text
    assert "cwl_disk_free_bytes" not in text
    assert "cwl_reports_waiting 0.0" in text


def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("promtool is missing: it comes with Debian's package prometheus")
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    return found


def test_promtool_has_nothing_to_say_of_the_page(client: Callable[..., Any]) -> None:
    text = client("op").get(PAGE).text
    result = subprocess.run([promtool(), "check", "metrics"], input=text, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_promtool_takes_the_alert_rules() -> None:
    rules = ROOT / "docs" / "monitoring" / "alert-rules.yml"
    result = subprocess.run([promtool(), "check", "rules", str(rules)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_health_tells_nobody_more_than_its_status(client: Callable[..., Any]) -> None:
    for role in (None, "viewer", "user"):
        told = client(role).get(HEALTH).json()
        assert told["status"] in ("ok", "warn")
        assert told["checks"] is None
    told = client("op").get(HEALTH).json()
    assert {check["name"] for check in told["checks"]} >= {"settings", "bundle", "loop reports", "reports", "disk tmp"}
    assert all(check["message"] for check in told["checks"])


def test_health_answers_503_as_long_as_a_check_fails(client: Callable[..., Any], folders: Path) -> None:
    assert client().get(HEALTH).status_code == 200
    (folders / "outputs").mkdir(exist_ok=True)
    (folders / "outputs").rmdir()
    (folders / "outputs").write_text("no folder")
    checks.forget()
    answer = client("op").get(HEALTH)
    assert answer.status_code == 503
    assert answer.json()["status"] == "fail"
    told = {check["name"]: check for check in answer.json()["checks"]}
    assert told["disk outputs"]["status"] == "fail"
    assert "outputs_folder" in told["disk outputs"]["message"]
    (folders / "outputs").unlink()
    (folders / "outputs").mkdir()
    checks.forget()
    assert client().get(HEALTH).status_code == 200


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.json")))
def test_a_schema_is_where_events_say(client: Callable[..., Any], name: str) -> None:
    assert client().get(f"/cwl/api/v1/lineage/{name}").json()["$defs"]


@pytest.mark.parametrize("name", ["x.json", "..%2fnoting.py", "%2e%2e%2fevents.py", "noting.py", "*"])
def test_nothing_else_is_there(client: Callable[..., Any], name: str) -> None:
    assert client().get(f"/cwl/api/v1/lineage/{name}").status_code == 404

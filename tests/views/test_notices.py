"""What is wrong with a server's set-up is told to those who can change it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.servers import FILE_VARIABLE

PAGE = "/cwl/workflows"
NEEDED = "[core] min_serialized_dag_update_interval must be 0"


def test_a_needed_setting_that_is_missing_is_told(browser: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "must be" not in browser("admin").get(PAGE).text
    monkeypatch.setenv("AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "30")
    assert NEEDED in browser("admin").get(PAGE).text
    assert NEEDED in browser("op").get(PAGE).text
    for role in ("user", "viewer", None):
        assert NEEDED not in browser(role).get(PAGE).text


def test_a_missing_bundle_is_told(browser: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", "[]")
    assert "[dag_processor] dag_bundle_config_list must be a list" in browser("admin").get(PAGE).text


def test_what_has_died_in_the_last_hour_is_told(
    browser: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = datetime.now(timezone.utc)
    deaths = [("scheduler", 5), ("scheduler", 10), ("triggerer", 30), ("api-server", 90)]
    told = [
        {"component": name, "at": (now - timedelta(minutes=minutes)).isoformat(), "exit_code": "<b>-9"}
        for name, minutes in deaths
    ]
    (tmp_path / "restarts.json").write_text(json.dumps(told))
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "restarts.json"))
    text = browser("admin").get(PAGE).text
    assert "The scheduler died 2 times in the last hour (exit code &lt;b&gt;-9), and was started again." in text
    assert "The triggerer died once" in text
    assert "api-server" not in text
    assert "died" not in browser("user").get(PAGE).text


@pytest.mark.parametrize(
    "content", ["", "[1]", '[{"component": 1}]', "{", '[{"component":"x","at":"no","exit_code":"1"}]']
)
def test_a_page_survives_a_file_with_anything_in_it(
    browser: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    (tmp_path / "restarts.json").write_text(content)
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "restarts.json"))
    assert browser("admin").get(PAGE).status_code == 200

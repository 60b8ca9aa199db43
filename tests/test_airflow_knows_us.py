"""What Airflow's own commands say about the plugin: its options, its provider, its tables, its plugin."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.options import OPTIONS
from cwl_ui_plugin.version import __version__

Airflow = Callable[..., str]


@pytest.fixture
def airflow(airflow_home: Path, capsys: pytest.CaptureFixture[str]) -> Airflow:
    """Call ``airflow`` in this process; return what it prints."""
    from airflow.cli.cli_parser import get_parser

    def call(*words: str) -> str:
        arguments = get_parser().parse_args(list(words))
        capsys.readouterr()
        arguments.func(arguments)
        return capsys.readouterr().out

    return call


def listed(airflow: Airflow, *words: str) -> Any:
    return json.loads(airflow(*words, "--output", "json"))


def test_config_list_has_every_option_with_its_default_and_its_meaning(airflow: Airflow) -> None:
    shown = ["--defaults", "--include-descriptions", "--show-values"]
    text = airflow("config", "list", "--section", "cwl", *shown)
    for option in OPTIONS:
        assert f"\n# {option.name} = {option.default or ''}".rstrip() in text, option.name
        assert f"# Variable: AIRFLOW__CWL__{option.name.upper()}\n" in text
        assert option.description.splitlines()[0] in text


def test_config_get_value_has_the_default_and_what_was_set(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    assert airflow("config", "get-value", "cwl", "retries").strip() == "2"
    monkeypatch.setenv("AIRFLOW__CWL__RETRIES", "5")
    assert airflow("config", "get-value", "cwl", "retries").strip() == "5"


def test_config_lint_finds_nothing_wrong(airflow: Airflow) -> None:
    assert "No issues found" in airflow("config", "lint")


def test_providers_name_it(airflow: Airflow) -> None:
    providers = {provider["package_name"]: provider for provider in listed(airflow, "providers", "list")}
    assert providers["cwl-ui-plugin"]["version"] == __version__
    assert __version__ in airflow("providers", "get", "cwl-ui-plugin")


def test_plugins_show_it(airflow: Airflow) -> None:
    (found,) = [plugin for plugin in listed(airflow, "plugins") if plugin["name"] == "cwl_ui_plugin"]
    assert "cwl" in str(found["fastapi_apps"])


def test_its_tables_are_among_the_migrations_that_airflow_checks(airflow: Airflow) -> None:
    from airflow.utils.db_manager import RunDBManager

    assert "CwlDBManager" in [manager.__name__ for manager in RunDBManager()._managers]
    airflow("db", "check-migrations", "--migration-wait-timeout", "0")

"""Airflow's own command with the settings of a standalone server."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cli import airflow_process, main
from cwl_ui_plugin.cli.home import ENVIRONMENT, Home
from cwl_ui_plugin.interpreters import module_command


class Became(Exception):
    """The process would be another program now."""


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def execve(path: str, words: list[Any], environment: dict[str, str]) -> None:
        found.update(path=path, words=words, environment=environment)
        raise Became

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(os, "umask", lambda _mask: 0)
    monkeypatch.setenv(main.DEBUG, "1")
    return found


@pytest.mark.parametrize("between", [[], ["--"]])
def test_it_becomes_airflow_with_the_settings_of_the_server(
    tmp_path: Path, became: dict[str, Any], monkeypatch: pytest.MonkeyPatch, between: list[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__RETRIES", "7")  # of the server's environment
    settings = Home(tmp_path, "simple").prepare("127.0.0.1", 8080, [])
    monkeypatch.setenv("AIRFLOW__CWL__RETRIES", "1")  # of the caller's
    monkeypatch.setenv("AIRFLOW_HOME", "/elsewhere")
    with pytest.raises(Became):
        main.main(["airflow", "--home", str(tmp_path), *between, "dags", "trigger", "x", "--conf", "{}"])
    assert became["path"] == sys.executable
    words = ["dags", "trigger", "x", "--conf", "{}"]
    assert became["words"] == module_command(airflow_process.__name__, *words)
    environment = became["environment"]
    assert environment["AIRFLOW_HOME"] == str(tmp_path)
    assert environment["AIRFLOW__CWL__RETRIES"] == "7"
    assert environment["PATH"] == os.environ["PATH"]
    bundles = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"
    assert environment[bundles] == settings[bundles]


def test_what_it_reads_is_for_the_user_alone_and_names_no_variables_but_airflows(tmp_path: Path) -> None:
    Home(tmp_path, "simple").prepare("127.0.0.1", 8080, [])
    kept = tmp_path / ENVIRONMENT
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert all(name.startswith("AIRFLOW") for name in json.loads(kept.read_text()))


@pytest.mark.parametrize(("content", "says"), [(None, "start it once"), ("{", "Start the standalone server again")])
def test_a_folder_without_a_server_is_refused_in_words(
    tmp_path: Path, became: dict[str, Any], capsys: pytest.CaptureFixture[str], content: str | None, says: str
) -> None:
    if content is not None:
        (tmp_path / ENVIRONMENT).write_text(content)
    assert main.main(["airflow", "--home", str(tmp_path), "dags", "list"]) == 1
    assert says in capsys.readouterr().err
    assert not became


def test_a_call_without_words_is_refused(tmp_path: Path, became: dict[str, Any]) -> None:
    Home(tmp_path, "simple").prepare("127.0.0.1", 8080, [])
    assert main.main(["airflow", "--home", str(tmp_path)]) == 2
    assert not became

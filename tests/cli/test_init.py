"""Setting up an existing Airflow home: what is missing is added, what somebody set is left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cwl_ui_plugin.cli.main import main

CFG = """# my settings
[core]
# comments stay
executor = LocalExecutor
fernet_key = 100%%sure

[workers]
min_heartbeat_interval = 7

[dag_processor]
dag_bundle_config_list = [
      {"name": "mine", "classpath": "x.Y", "kwargs": {}}
  ]
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "airflow.cfg").write_text(CFG)
    return tmp_path


def init(home: Path, *arguments: str) -> int:
    return main(["init", "--home", str(home), "--no-migrate", *arguments])


def bundles(home: Path) -> list[str]:
    from cwl_ui_plugin.cli.cfg_file import CfgFile

    text = CfgFile(home / "airflow.cfg").get("dag_processor", "dag_bundle_config_list")
    return [bundle["name"] for bundle in json.loads(text or "[]")]


def test_the_bundle_is_added_beside_those_that_are_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(home) == 0
    assert bundles(home) == ["mine", "cwl"]
    assert "because the plugin's bundle" in capsys.readouterr().out


def test_what_somebody_set_is_left_unless_forced(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(home)
    assert "min_heartbeat_interval = 7\n" in (home / "airflow.cfg").read_text()
    assert "left as it is; recommended is 1" in capsys.readouterr().out
    init(home, "--force")
    assert "min_heartbeat_interval = 1\n" in (home / "airflow.cfg").read_text()


def test_comments_and_other_lines_stay(home: Path) -> None:
    init(home)
    text = (home / "airflow.cfg").read_text()
    assert "# my settings" in text
    assert "# comments stay\nexecutor = LocalExecutor\nfernet_key = 100%%sure\n" in text


def test_the_second_time_nothing_changes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(home)
    first = (home / "airflow.cfg").read_text()
    capsys.readouterr()
    init(home)
    assert (home / "airflow.cfg").read_text() == first
    assert "Nothing to change." in capsys.readouterr().out


def test_a_dry_run_changes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(home, "--dry-run")
    assert (home / "airflow.cfg").read_text() == CFG
    assert not (home / "cwl").exists()
    assert "+ [dag_processor] dag_bundle_config_list" in capsys.readouterr().out


def test_a_folder_that_is_no_airflow_home_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--home", str(tmp_path / "nowhere")]) == 2
    assert "airflow.cfg" in capsys.readouterr().err

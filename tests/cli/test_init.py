"""Setting up an existing Airflow home: what is missing is added, what somebody set is left."""

from __future__ import annotations

import configparser
import json
import os
from pathlib import Path

import pytest
import yaml

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


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AIRFLOW"):
            monkeypatch.delenv(name)


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


STOCK = Path(__file__).with_name("stock_airflow.cfg").read_text()
NEEDED = "[core] min_serialized_dag_update_interval"


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    """An Airflow home with an airflow.cfg as Airflow makes it: all defaults are in it."""
    (tmp_path / "airflow.cfg").write_text(STOCK)
    return tmp_path


def value(home: Path, section: str, name: str) -> str | None:
    from cwl_ui_plugin.cli.cfg_file import CfgFile

    return CfgFile(home / "airflow.cfg").get(section, name)


def test_what_airflow_wrote_itself_counts_as_not_set(stock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(stock) == 0
    assert "left as it is" not in capsys.readouterr().out
    assert bundles(stock) == ["dags-folder", "cwl"]
    assert value(stock, "core", "min_serialized_dag_update_interval") == "0"
    assert value(stock, "dag_processor", "dag_bundle_storage_path") == str(stock / "bundles")
    assert value(stock, "workers", "min_heartbeat_interval") == "1"
    assert value(stock, "scheduler", "scheduler_idle_sleep_time") == "0.1"
    assert value(stock, "core", "executor") == "LocalExecutor"
    init(stock)
    assert "Nothing to change." in capsys.readouterr().out


def test_a_needed_setting_is_set_whatever_it_was(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "airflow.cfg").write_text(CFG.replace("[core]", "[core]\nmin_serialized_dag_update_interval = 60"))
    assert init(home) == 0
    assert value(home, "core", "min_serialized_dag_update_interval") == "0"
    assert f"- {NEEDED} = 60\n+ {NEEDED} = 0" in capsys.readouterr().out


def test_the_environment_is_seen(
    stock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "10")
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "2")
    monkeypatch.setenv("AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "0.10")
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL_CMD", "echo 300")
    assert init(stock) == 1
    out, err = capsys.readouterr()
    assert "set by AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL; recommended is 1" in out
    assert "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL_CMD has no effect" in out
    assert "scheduler_idle_sleep_time" not in out
    assert "Set there: AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL=0" in err
    assert value(stock, "workers", "min_heartbeat_interval") == "5"
    assert value(stock, "dag_processor", "min_file_process_interval") == "300"


def test_bundles_of_the_environment_are_kept_beside_the_plugins(
    stock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", '[{"name": "git", "classpath": "a.B"}]')
    assert init(stock) == 1
    wanted = capsys.readouterr().err.partition("DAG_BUNDLE_CONFIG_LIST=")[2].strip()
    assert [bundle["name"] for bundle in json.loads(wanted)] == ["git", "cwl"]
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", wanted)
    assert init(stock) == 0


def test_airflows_own_way_of_naming_the_file_is_seen(stock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (stock / "etc").mkdir()
    (stock / "airflow.cfg").rename(stock / "etc" / "mine.cfg")
    monkeypatch.setenv("AIRFLOW_HOME", str(stock))
    monkeypatch.setenv("AIRFLOW_CONFIG", str(stock / "etc" / "mine.cfg"))
    assert main(["init", "--no-migrate"]) == 0
    assert "min_serialized_dag_update_interval = 0" in (stock / "etc" / "mine.cfg").read_text()


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "is no JSON"), ("[1]", "no list of JSON objects"), ('[{"name": "cwl", "classpath": "a.B"}]', "rename")],
)
def test_a_list_of_bundles_that_can_not_be_extended_is_told(
    stock: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    (stock / "airflow.cfg").write_text(f"[dag_processor]\ndag_bundle_config_list = {text}\n")
    assert init(stock) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("form", ["dotenv", "yaml"])
def test_all_settings_can_be_had_as_variables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", '[{"name": "git", "classpath": "a.B"}]')
    assert init(tmp_path, "--env", form) == 0
    text = capsys.readouterr().out
    if form == "yaml":
        variables = {item["name"]: item["value"] for item in yaml.safe_load(text)}
    else:
        variables = dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))
    assert len(variables) == 7
    assert variables["AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL"] == "0"
    assert variables["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH"] == str(tmp_path / "bundles")
    found = json.loads(variables["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
    assert [bundle["name"] for bundle in found] == ["git", "cwl"]
    for name, set_to in variables.items():
        monkeypatch.setenv(name, set_to)
    (tmp_path / "airflow.cfg").write_text(STOCK)
    capsys.readouterr()
    assert init(tmp_path) == 0
    assert "Changed 0 settings" in capsys.readouterr().out


def test_the_folders_are_for_their_user_alone(stock: Path) -> None:
    before = os.umask(0)
    try:
        init(stock)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (stock / "cwl").iterdir() if path.is_dir()} == {0o700}


def uninstall(home: Path, *arguments: str) -> int:
    return main(["uninstall", "--home", str(home), *arguments])


@pytest.mark.parametrize("text", [STOCK, CFG])
def test_uninstall_undoes_what_init_did(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (tmp_path / "airflow.cfg").write_text(text)
    init(tmp_path)
    changed = (tmp_path / "airflow.cfg").read_text()
    capsys.readouterr()
    assert uninstall(tmp_path, "--dry-run") == 0
    assert (tmp_path / "airflow.cfg").read_text() == changed
    shown = capsys.readouterr().out
    assert uninstall(tmp_path) == 0
    assert "- [core] might_contain_dag_callable = cwl_ui_plugin" in shown
    assert capsys.readouterr().out.startswith(shown.partition("Would undo")[0])
    assert "cwl_ui_plugin" not in (tmp_path / "airflow.cfg").read_text()
    assert options(tmp_path / "airflow.cfg") == options_of(text)
    assert uninstall(tmp_path) == 0
    assert "Nothing to undo." in capsys.readouterr().out
    assert init(tmp_path) == 0
    assert (tmp_path / "airflow.cfg").read_text().count("cwl_ui_plugin") == changed.count("cwl_ui_plugin")


def options(path: Path) -> dict[str, dict[str, str]]:
    return options_of(path.read_text())


def options_of(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return {
        name: {key: " ".join(set_to.split()) for key, set_to in parser[name].items()}
        for name in parser.sections()
        if parser[name]
    }


def test_uninstall_leaves_what_is_somebodys_own(stock: Path) -> None:
    own = STOCK.replace("min_heartbeat_interval = 5", "min_heartbeat_interval = 1")
    (stock / "airflow.cfg").write_text(own)
    init(stock)
    text = (
        (stock / "airflow.cfg").read_text().replace("scheduler_idle_sleep_time = 0.1", "scheduler_idle_sleep_time = 3")
    )
    text = text.replace("[{", '[{"name": "later", "classpath": "l.L"}, {', 1)
    (stock / "airflow.cfg").write_text(text)
    assert uninstall(stock) == 0
    assert value(stock, "workers", "min_heartbeat_interval") == "1"
    assert value(stock, "scheduler", "scheduler_idle_sleep_time") == "3"
    assert bundles(stock) == ["later", "dags-folder"]
    assert value(stock, "core", "min_serialized_dag_update_interval") == "30"


def test_uninstall_without_a_note_takes_out_what_names_the_plugin(stock: Path) -> None:
    init(stock)
    (stock / "cwl" / "init.json").unlink()
    assert uninstall(stock) == 0
    assert bundles(stock) == ["dags-folder"]
    assert value(stock, "core", "might_contain_dag_callable") is None
    assert value(stock, "workers", "min_heartbeat_interval") == "1"


def test_uninstall_says_what_still_names_the_plugin(
    stock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    init(stock)
    with (stock / "airflow.cfg").open("a") as cfg:
        cfg.write("\n[fab]\nauth_backends = cwl_ui_plugin.auth.jwt_backend\n")
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", '[{"classpath": "cwl_ui_plugin.x"}]')
    assert uninstall(stock) == 1
    said = capsys.readouterr().err
    assert "auth_backends = cwl_ui_plugin.auth.jwt_backend" in said
    assert "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST in the environment" in said


def test_rules_for_tasks_that_are_wrong_are_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = home / "airflow.cfg"
    rules = '[{"set": {"executor": "%s"}}]'
    cfg.write_text(CFG + "\n[cwl]\ntask_rules = " + rules % "CeleryExecutor" + "\n")
    assert init(home) == 0
    assert "'CeleryExecutor' is none of those of [core] executor: LocalExecutor" in capsys.readouterr().out
    cfg.write_text(CFG + "\n[cwl]\ntask_rules = " + rules % "LocalExecutor" + "\n")
    assert init(home) == 0
    assert "none of those" not in capsys.readouterr().out

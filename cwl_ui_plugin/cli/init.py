"""``cwl-ui-plugin init``: set up an existing Airflow home. Run twice, it changes nothing the second time."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from cwl_ui_plugin.cli.airflow_settings import Setting, recommended, with_bundle
from cwl_ui_plugin.cli.cfg_file import CfgFile
from cwl_ui_plugin.cli.errors import CliError, UsageError

FOLDERS = ("workflows", "inputs", "outputs", "tmp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--home",
        type=Path,
        default=Path(os.environ.get("AIRFLOW_HOME", "~/airflow")),
        help="the Airflow home (AIRFLOW_HOME)",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would change, change nothing")
    parser.add_argument("--force", action="store_true", help="also change settings that are set to something else")
    parser.add_argument("--no-migrate", action="store_true", help="leave the database as it is")


def run(arguments: argparse.Namespace) -> int:
    """Change what is missing; print each change with its reason and its cost."""
    home = arguments.home.expanduser().resolve()
    path = home / "airflow.cfg"
    if not path.is_file():
        raise UsageError(
            f"There is no {path}: run `airflow db migrate` there first, or name another folder with --home."
        )
    cfg = CfgFile(path)
    changed = _change_settings(cfg, home, arguments.force)
    made = _missing_folders(home)
    if not arguments.dry_run:
        cfg.save()
        for folder in made:
            folder.mkdir(parents=True, exist_ok=True)
    for folder in made:
        print(f"+ folder {folder}")
    if not arguments.dry_run and not arguments.no_migrate:
        _migrate(home)
    done = "Would change" if arguments.dry_run else "Changed"
    print(f"{done} {changed} settings and {len(made)} folders." if changed or made else "Nothing to change.")
    if changed and not arguments.dry_run:
        print("Restart all components of Airflow.")
    return 0


def _change_settings(cfg: CfgFile, home: Path, force: bool) -> int:
    bundles = cfg.get("dag_processor", "dag_bundle_config_list")
    changed = 0
    for setting in recommended(with_bundle(bundles), str(home / "bundles")):
        current = cfg.get(setting.section, setting.name)
        if current == setting.value:
            continue
        # The list of bundles is added to, never replaced; everything else that somebody has set is left alone.
        if current is None or force or setting.name == "dag_bundle_config_list":
            cfg.set(setting.section, setting.name, setting.value)
            changed += 1
            _show(setting, current)
        else:
            print(f"  [{setting.section}] {setting.name} = {current}: left as it is; recommended is {setting.value}")
            print(f"      because {setting.reason}; --force changes it")
    return changed


def _show(setting: Setting, current: str | None) -> None:
    if current is not None:
        print(f"- [{setting.section}] {setting.name} = {current}")
    print(f"+ [{setting.section}] {setting.name} = {setting.value}")
    print(f"      because {setting.reason}; it costs: {setting.cost}")


def _missing_folders(home: Path) -> list[Path]:
    return [folder for name in FOLDERS if not (folder := home / "cwl" / name).is_dir()]


def _migrate(home: Path) -> None:
    airflow = Path(sys.executable).with_name("airflow")
    result = subprocess.run(
        [airflow, "db", "migrate"],
        env={**os.environ, "AIRFLOW_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise CliError(f"The plugin's tables could not be made: airflow db migrate failed:\n{result.stderr[-2000:]}")
    print("  The plugin's tables are up to date.")

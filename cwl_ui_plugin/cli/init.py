"""``cwl-ui-plugin init``: set up an existing Airflow home. Run twice, it changes nothing the second time."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.cli.airflow_home import AirflowHome, add_home_argument
from cwl_ui_plugin.cli.airflow_settings import BUNDLES, Setting, recommended, with_bundle
from cwl_ui_plugin.cli.cfg_file import CfgFile
from cwl_ui_plugin.cli.effective import DEFAULT, ENVIRONMENT, Configuration, Effective, same
from cwl_ui_plugin.cli.errors import CliError
from cwl_ui_plugin.dags.task_rules import read_rules

STORES = (
    "storage_roots",
    "outputs_folder",
    "output_roots",
    "uploads_storage",
    "intermediate_storage",
    "workflows_storage",
)
"""Options that may name places of object stores."""
FOLDERS = ("workflows", "inputs", "outputs", "tmp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_home_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="show what would change, change nothing")
    parser.add_argument("--force", action="store_true", help="also change settings that are set to something else")
    parser.add_argument("--no-migrate", action="store_true", help="leave the database as it is")
    parser.add_argument(
        "--env",
        choices=("dotenv", "yaml"),
        nargs="?",
        const="dotenv",
        help="change nothing; print all settings as environment variables: NAME=value lines (for Compose's env_file), "
        "or a YAML list (for `env:` of Airflow's Helm chart)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Change what is missing; print each change with its reason and its cost."""
    home = AirflowHome(arguments.home)
    if arguments.env:
        _print_variables(home, arguments.env)
        return 0
    setup = Setup(home, force=arguments.force)
    made = _missing_folders(home.folder)
    if not arguments.dry_run:
        setup.save()
        for folder in made:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)
    for folder in made:
        print(f"+ folder {folder}")
    if not arguments.dry_run and not arguments.no_migrate:
        home.run("airflow", "db", "migrate")
        print("  The plugin's tables are up to date.")
    if setup.wrong_rules:
        print(f"  {setup.wrong_rules} No workflow becomes a Dag until that is mended.")
    if not arguments.dry_run:
        _tell_stores(setup, home)
    changed = len(setup.changed)
    done = "Would change" if arguments.dry_run else "Changed"
    print(f"{done} {changed} settings and {len(made)} folders." if changed or made else "Nothing to change.")
    if changed and not arguments.dry_run:
        print("Restart all components of Airflow.")
    if setup.unreachable:
        raise CliError("What is needed is set otherwise by the environment. Set there: " + "; ".join(setup.unreachable))
    return 0


def _tell_stores(setup: Setup, home: AirflowHome) -> None:
    """Print whether the object stores that the site names can be used; nothing is asked where it names none."""
    if setup.names_stores:
        print("Object stores, which take up to half a minute to look at:", flush=True)
        print(home.told("cwl_ui_plugin.cli.stores"), end="")


@dataclass
class Setup:
    """Goes through the settings; ``changed`` has what those were that it changes, ``unreachable`` what it can't."""

    home: AirflowHome
    force: bool

    def __post_init__(self) -> None:
        self._cfg: CfgFile = self.home.required_cfg()
        configuration = Configuration(self._cfg, os.environ)
        self.changed: dict[str, str | None] = {}
        self.unreachable: list[str] = []
        self.wrong_rules = _wrong_rules(configuration)
        self.names_stores = any("://" in (configuration.get("cwl", name).value or "") for name in STORES)
        for setting in _settings(self.home, configuration):
            for variable in configuration.without_effect(setting.section, setting.name):
                print(f"  {variable} has no effect: Airflow takes it for secret options only.")
            self._settle(setting, configuration.get(setting.section, setting.name))

    def save(self) -> None:
        """Write airflow.cfg, and a note of what it was."""
        self.home.note(self.changed)
        self._cfg.save()

    def _settle(self, setting: Setting, current: Effective) -> None:
        if current.value is not None and same(current.value, setting.value):
            return
        if current.origin == ENVIRONMENT:
            self._tell_environment(setting, current)
        elif current.origin == DEFAULT or setting.required or self.force:
            self._cfg.set(setting.section, setting.name, setting.value)
            self.changed[setting.key] = current.written
            _show(setting, current.written)
        else:
            print(f"  {setting.label} = {current.value}: left as it is; recommended is {setting.value}")
            print(f"      because {setting.reason}; --force changes it")

    def _tell_environment(self, setting: Setting, current: Effective) -> None:
        print(f"  {setting.label} = {current.value}: set by {setting.variable}; ", end="")
        print(f"{'needed' if setting.required else 'recommended'} is {setting.value}, because {setting.reason}")
        if setting.required:
            self.unreachable.append(f"{setting.variable}={setting.value}")


def _wrong_rules(configuration: Configuration) -> str:
    """Return what is wrong with ``[cwl] task_rules``, as they are set."""
    try:
        executors = config.executors_of(configuration.get("core", "executor").value or "LocalExecutor")
        read_rules(configuration.get("cwl", "task_rules").value or "", executors)
    except config.ConfigError as error:
        return str(error)
    return ""


def _settings(home: AirflowHome, configuration: Configuration) -> tuple[Setting, ...]:
    bundles = configuration.get(*BUNDLES)
    return recommended(with_bundle(bundles.value), str(home.folder / "bundles"))


def _print_variables(home: AirflowHome, form: str) -> None:
    for setting in _settings(home, Configuration(home.cfg, os.environ)):
        value = " ".join(setting.value.split())
        if form == "dotenv":
            print(f"# {setting.reason}\n{setting.variable}={value}")
        else:
            print(f"# {setting.reason}\n- name: {setting.variable}\n  value: {json.dumps(value)}")


def _show(setting: Setting, current: str | None) -> None:
    if current is not None:
        print(f"- {setting.label} = {current}")
    print(f"+ {setting.label} = {setting.value}")
    print(f"      because {setting.reason}; it costs: {setting.cost}")


def _missing_folders(home: Path) -> list[Path]:
    return [folder for name in FOLDERS if not (folder := home / "cwl" / name).is_dir()]

"""``cwl-ui-plugin uninstall``: undo what ``init`` did to an Airflow home. Run twice, it changes nothing more."""

from __future__ import annotations

import argparse
import os

from cwl_ui_plugin.cli.airflow_home import AirflowHome, add_home_argument
from cwl_ui_plugin.cli.airflow_settings import BUNDLES, recommended, with_bundle, without_bundle
from cwl_ui_plugin.cli.cfg_file import CfgFile
from cwl_ui_plugin.cli.effective import same
from cwl_ui_plugin.cli.errors import CliError
from cwl_ui_plugin.variables import REPORT_CONNECTION

PLUGIN = "cwl_ui_plugin"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_home_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="show what would change, change nothing")
    parser.add_argument(
        "--drop-tables", action="store_true", help="also drop the plugin's tables, with all reports that are waiting"
    )


def run(arguments: argparse.Namespace) -> int:
    """Show and undo the changes; say what is left, and what still names the plugin."""
    home = AirflowHome(arguments.home)
    cfg = home.required_cfg()
    undone = _undo(cfg, home)
    still = _still_named(cfg)
    if not arguments.dry_run:
        cfg.save()
        home.forget()
        if arguments.drop_tables:
            home.run("cwl_ui_plugin.cli.drop_tables")
            print("  The plugin's tables are dropped.")
    _say_what_is_left(home, undone, arguments)
    if still:
        raise CliError("The plugin can't be removed yet; still named by " + "; ".join(still))
    return 0


def _undo(cfg: CfgFile, home: AirflowHome) -> int:
    """Set options back that are as ``init`` has set them; return how many.

    What was changed since is somebody's own, and so is what ``init`` has not noted, unless it names the plugin.
    """
    noted = home.noted()
    undone = 0
    for setting in recommended(with_bundle(cfg.get(*BUNDLES)), str(home.folder / "bundles")):
        current = cfg.get(setting.section, setting.name)
        if current is None:
            continue
        before = noted.get(setting.key)
        if (setting.section, setting.name) == BUNDLES:
            left = without_bundle(current)
            before = before if before and same(before, left) else left
        elif not same(current, setting.value) or (setting.key not in noted and PLUGIN not in current):
            continue
        if before is not None and same(before, current):
            continue
        cfg.set_or_remove(setting.section, setting.name, before)
        undone += 1
        print(f"- {setting.label} = {current}")
        if before is not None:
            print(f"+ {setting.label} = {before}")
    return undone


def _still_named(cfg: CfgFile) -> list[str]:
    """Return what else names a module of the plugin, which Airflow could not import any more."""
    lines = [f"{cfg.path}: {line.strip()}" for line in cfg.lines_with(PLUGIN)]
    variables = [
        f"{name} in the environment"
        for name, value in sorted(os.environ.items())
        if name.startswith("AIRFLOW__") and PLUGIN in value
    ]
    return lines + variables


def _say_what_is_left(home: AirflowHome, undone: int, arguments: argparse.Namespace) -> None:
    if undone:
        print(f"{'Would undo' if arguments.dry_run else 'Undone'}: {undone} settings.")
    elif not arguments.drop_tables:
        print("Nothing to undo.")
    print(f"Left as they are: {home.folder / 'cwl'} and other folders of the section [cwl], the section itself,")
    print(
        f"the Variables and the Connection {REPORT_CONNECTION}"
        + ("." if arguments.drop_tables else ", and the tables.")
    )
    if undone and not arguments.dry_run:
        print("Restart all components of Airflow; then remove the package: pip uninstall cwl-ui-plugin")

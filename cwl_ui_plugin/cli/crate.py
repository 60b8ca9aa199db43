"""``cwl-ui-plugin crate`` and ``report``: save a run as a Workflow Run RO-Crate, or as a page to read and print."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from urllib.parse import urlencode

from cwl_ui_client.steps import run_path

from cwl_ui_plugin.cli.client import Client, add_server_arguments
from cwl_ui_plugin.cli.errors import UsageError

SUFFIXES = {"crate": ".crate.zip", "report": ".report.html"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    command = parser.prog.rpartition(" ")[2]
    parser.add_argument("dag_id", metavar="DAG_ID", help="name of the workflow")
    parser.add_argument("run_id", metavar="RUN_ID", help="name of the run")
    parser.add_argument(
        "--output", "-o", metavar="FILE", type=Path, help=f"the file to write (RUN_ID{SUFFIXES[command]})"
    )
    if command == "crate":
        parser.add_argument("--no-data", action="store_true", help="leave out inputs and outputs, and name them only")
        parser.add_argument("--logs", action="store_true", help="add what the commands have printed")
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Save the file, whole or not at all; print where it is."""
    command: str = arguments.command
    target = arguments.output or Path(f"{arguments.run_id.replace(os.sep, '_')}{SUFFIXES[command]}")
    if target.is_dir():
        raise UsageError(f"{target} is a folder: give the name of the file.")
    client = Client.of(arguments)
    beside = target.with_name(f".{target.name}.part")
    path = f"{run_path(arguments.dag_id, arguments.run_id)}/{command}"
    try:
        client.download(f"{path}{_query(arguments)}", beside)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    print(target)
    return 0


def _query(arguments: argparse.Namespace) -> str:
    """Return what is wanted in a crate besides what is in it by default; a report has everything."""
    wanted = {"data": "false"} if getattr(arguments, "no_data", False) else {}
    wanted |= {"logs": "true"} if getattr(arguments, "logs", False) else {}
    return f"?{urlencode(wanted)}" if wanted else ""

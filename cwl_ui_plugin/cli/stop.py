"""``cwl-ui-plugin stop``: stop a run, and wait until nothing of it is left."""

from __future__ import annotations

import argparse

from cwl_ui_plugin.cli.client import Client, add_server_arguments, path_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("dag_id", metavar="DAG_ID", help="name of the workflow, or of any other Dag")
    parser.add_argument("run_id", metavar="RUN_ID", help="name of the run")
    parser.add_argument("--remove", action="store_true", help="delete the run, too")
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Stop the run; print what was stopped."""
    client = Client.of(arguments)
    path = f"/workflows{path_of(arguments.dag_id)}/runs{path_of(arguments.run_id)}/stop"
    answer = client.post(path, json={"remove": arguments.remove}, timeout=600)
    stopped = answer.get("stopped") or []
    print(f"Stopped {len(stopped)} tasks in {answer.get('seconds', 0):.1f} s. {' '.join(map(str, stopped))}".strip())
    return 0

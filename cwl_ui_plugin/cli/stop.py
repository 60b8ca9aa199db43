"""``cwl-ui-plugin stop``: stop a run, and wait until nothing of it is left."""

from __future__ import annotations

import argparse

from cwl_ui_client import running

from cwl_ui_plugin.cli.client import Client, add_server_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("dag_id", metavar="DAG_ID", help="name of the workflow, or of any other Dag")
    parser.add_argument("run_id", metavar="RUN_ID", help="name of the run")
    parser.add_argument("--remove", action="store_true", help="delete the run, too")
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Stop the run; print what was stopped."""
    report = Client.of(arguments).drive(running.stop(arguments.dag_id, arguments.run_id, remove=arguments.remove))
    print(f"Stopped {len(report.stopped)} tasks in {report.seconds:.1f} s. {' '.join(report.stopped)}".strip())
    return 0

"""``cwl-ui-plugin crate-import``: upload the workflow of a crate and the files of its run, to run it again."""

from __future__ import annotations

import argparse
from pathlib import Path

from cwl_ui_plugin.cli.client import Client, add_server_arguments
from cwl_ui_plugin.cli.errors import UsageError

TIMEOUT_SECONDS = 600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a Workflow Run RO-Crate, as a zip")
    parser.add_argument("--dag-id", help="name of the workflow; default: from the name of its file")
    parser.add_argument("--replace", action="store_true", help="make it a new version of the workflow of that name")
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Send the crate; print the name of the workflow, and the address of its form, filled in."""
    if not arguments.file.is_file():
        raise UsageError(f"There is no file {arguments.file}.")
    client = Client.of(arguments)
    fields = {"dag_id": arguments.dag_id, "replace": "true" if arguments.replace else None}
    with arguments.file.open("rb") as file:
        form = {**{name: value for name, value in fields.items() if value}, "file": (arguments.file.name, file)}
        made = client.post("/crates", form=form, timeout=TIMEOUT_SECONDS)
    print(f"{made['dag_id']}\t{client.url}{made['form']}")
    for name in made["left_out"]:
        print(f"The crate does not tell enough of the input {name}: give it in the form.")
    return 0

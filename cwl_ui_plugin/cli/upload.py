"""``cwl-ui-plugin upload``: send workflows with the files that they refer to."""

from __future__ import annotations

import argparse
import sys
from typing import TypedDict

from cwl_ui_client.models import Progress
from cwl_ui_client.uploading import import_workflow, is_address, upload

from cwl_ui_plugin import addresses
from cwl_ui_plugin.cli.client import Client, add_server_arguments
from cwl_ui_plugin.cli.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a CWL document (file or file#process), a zip, or the address of a workflow: trs://..., https://...",
    )
    parser.add_argument("--dag-id", help="name of the workflow; default: from the file's name")
    parser.add_argument("--main", help="the main document, in a zip or repository")
    parser.add_argument("--ref", help="of an address: a version, tag, branch or commit")
    parser.add_argument("--replace", action="store_true", help="make it a new version of the workflow of that name")
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Upload each file; print name and address of each workflow."""
    if arguments.dag_id and len(arguments.files) > 1:
        raise UsageError("--dag-id names one workflow; give one file with it.")
    client, say = Client.of(arguments), Said()
    for file in arguments.files:
        options: _Options = {
            "dag_id": arguments.dag_id,
            "main": arguments.main,
            "replace": arguments.replace,
            "report": say,
        }
        is_elsewhere = is_address(file)
        flow = import_workflow(file, ref=arguments.ref, **options) if is_elsewhere else upload(file, **options)
        uploaded = client.drive(flow)
        print(f"{uploaded.dag_id}\t{client.url}{addresses.workflow_page(uploaded.dag_id)}")
    return 0


class _Options(TypedDict):
    """What uploading and importing have in common."""

    dag_id: str | None
    main: str | None
    replace: bool
    report: Said


class Said:
    """Prints how far something is, each message once."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._last = ""

    def __call__(self, progress: Progress) -> None:
        """Print it, unless it was said just now."""
        if progress.message != self._last and not self._quiet and progress.kind in ("uploading", "running"):
            print(progress.message, file=sys.stderr)
        self._last = progress.message

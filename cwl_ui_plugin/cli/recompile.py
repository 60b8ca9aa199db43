"""``cwl-ui-plugin recompile``: have workflows compiled again. After an upgrade this happens by itself."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import TypedDict

from cwl_ui_plugin.cli.client import Client, add_server_arguments, path_of, problem_lines
from cwl_ui_plugin.cli.errors import ServerError

POLL_SECONDS = 0.5
PATIENCE_SECONDS = 3600.0
PAGE = 500
_SETTLED = ("current", "failed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("dag_id", metavar="DAG_ID", nargs="?", help="one workflow; default: all that you may see")
    parser.add_argument(
        "--timeout",
        type=float,
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait for each (default: {PATIENCE_SECONDS:g})",
    )
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Have workflows compiled; print how each is. The exit code is 1 if one needs a new upload."""
    client = Client.of(arguments)
    dag_ids = [arguments.dag_id] if arguments.dag_id else list(_dag_ids(client))
    for dag_id in dag_ids:
        client.post(f"/workflows{path_of(dag_id)}/recompile")
    return max((_followed(client, dag_id, arguments.timeout) for dag_id in dag_ids), default=0)


def _dag_ids(client: Client) -> Iterator[str]:
    offset = 0
    while True:
        page = client.get("/workflows", params={"limit": str(PAGE), "offset": str(offset)})
        yield from (item["dag_id"] for item in page["workflows"])
        offset += PAGE
        if offset >= page["total"]:
            return


def _followed(client: Client, dag_id: str, seconds: float) -> int:
    """Wait until a workflow is compiled, or can't be; return the exit code."""
    said, deadline = "", time.monotonic() + seconds
    while True:
        found = client.get(f"/workflows{path_of(dag_id)}")["compilation"]
        if found["state"] in _SETTLED:
            break
        if found["message"] != said:
            said = found["message"]
            print(f"{dag_id}: {said}", file=sys.stderr)
        if time.monotonic() > deadline:
            raise ServerError(f"{dag_id} is not compiled after {seconds:g} seconds. {said}")
        time.sleep(POLL_SECONDS)
    print(f"{dag_id}\t{found['engine'] if found['state'] == 'current' else _failure(found)}")
    return int(found["state"] == "failed")


class _Failed(TypedDict):
    """What the server says of a compilation that has failed."""

    message: str
    problems: list[dict[str, object]]


def _failure(found: _Failed) -> str:
    return "\n".join([found["message"], *problem_lines(found)])

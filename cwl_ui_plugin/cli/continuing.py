"""``cwl-ui-plugin continue``: let a failed run go on, or start one of a mended version that takes over from it."""

from __future__ import annotations

import argparse
from typing import TypedDict

from cwl_ui_client.steps import run_path

from cwl_ui_plugin.cli.client import Client, add_server_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("dag_id", metavar="DAG_ID", help="name of the workflow")
    parser.add_argument("run_id", metavar="RUN_ID", help="name of the run that failed")
    parser.add_argument(
        "--fix",
        action="store_true",
        help="start a new run of the current version; steps that did not change are taken over",
    )
    parser.add_argument("--version", metavar="DIGEST", help="with --fix: another version than the current one")
    parser.add_argument("--dry-run", action="store_true", help="only tell what would run")
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Let the run go on; print what runs again."""
    client = Client.of(arguments)
    path = run_path(arguments.dag_id, arguments.run_id)
    if arguments.fix or arguments.version:
        return _fix(client, path, arguments)
    if arguments.dry_run:
        found = client.get(f"{path}/continue")
        print(found.get("why_not") or f"{found.get('tasks')} tasks would run.")
        return 1 if found.get("why_not") else 0
    cleared = client.post(f"{path}/continue").get("cleared") or []
    print(f"The run goes on; {len(cleared)} tasks run again: {', '.join(map(str, cleared))}")
    return 0


def _fix(client: Client, path: str, arguments: argparse.Namespace) -> int:
    if arguments.dry_run:
        query = {"version": arguments.version} if arguments.version else {}
        _print(client.get(f"{path}/fix", params=query))
        return 0
    made = client.post(f"{path}/fix", json={"version": arguments.version})
    if made.get("forecast"):
        _print(made["forecast"])
    print(made["run_id"])
    return 0


class _Step(TypedDict):
    label: str
    outcome: str
    reason: str | None


class _Forecast(TypedDict, total=False):
    """What the server says of a run that would go on."""

    steps: list[_Step]


def _print(forecast: _Forecast) -> None:
    """Print what becomes of each step."""
    for step in forecast.get("steps") or []:
        reason = f": {step['reason']}" if step.get("reason") else ""
        what = {"taken": "taken over", "partly": "partly taken over"}.get(step["outcome"], "runs")
        print(f"  {step['label']}: {what}{reason}")

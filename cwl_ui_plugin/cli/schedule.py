"""``cwl-ui-plugin schedule``: show, save, pause or remove the schedule of a workflow."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TypedDict

from cwl_ui_client.steps import workflow_path

from cwl_ui_plugin import addresses
from cwl_ui_plugin.cli.client import Client, add_server_arguments
from cwl_ui_plugin.cli.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("dag_id", metavar="DAG_ID", help="name of the workflow; without more, its schedule is shown")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--cron", metavar="EXPRESSION", help="save it: five fields, such as '0 6 * * 1-5'")
    when.add_argument("--preset", help="save it: @hourly, @daily, @weekly, @monthly or @once")
    when.add_argument("--asset", action="append", metavar="NAME", help="save it: after an event of this asset")
    when.add_argument("--pause", action="store_true", help="stop starting runs")
    when.add_argument("--unpause", action="store_true", help="go on starting runs")
    when.add_argument("--remove", action="store_true", help="remove the schedule")
    parser.add_argument("--all", action="store_true", help="with several --asset: after events of all of them")
    parser.add_argument(
        "--job", metavar="FILE", help="the job, YAML or JSON, in which {{ ds }} is the date; - is stdin"
    )
    parser.add_argument("--from-run", metavar="RUN_ID", help="take the job of this run")
    parser.add_argument("--timezone", help="name of the time zone, such as Europe/Berlin")
    parser.add_argument("--start-date", metavar="DATE", help="from when on to catch up, such as 2026-01-31")
    parser.add_argument("--catchup", action="store_true", help="also start runs for the times since --start-date")
    parser.add_argument("--max-active-runs", type=int, metavar="NUMBER", help="how many runs there may be at a time")
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked for; print the schedule."""
    client = Client.of(arguments)
    path = f"{workflow_path(arguments.dag_id)}/schedule"
    if arguments.remove:
        client.request("DELETE", addresses.REST + path)
        print(f"{arguments.dag_id} has no schedule any more.")
        return 0
    if arguments.pause or arguments.unpause:
        _print(client.post(f"{path}/pause", json={"is_paused": arguments.pause}))
    elif body := _wanted(arguments):
        _print(client.request("PUT", addresses.REST + path, json=body).json())
    else:
        _print(client.get(path))
    return 0


def _wanted(arguments: argparse.Namespace) -> dict[str, object] | None:
    """Return the schedule that the arguments describe; None where they describe none."""
    if arguments.cron is not None:
        when: dict[str, object] = {"kind": "cron", "settings": {"cron": arguments.cron}}
    elif arguments.preset is not None:
        when = {"kind": "preset", "settings": {"preset": arguments.preset}}
    elif arguments.asset:
        when = {"kind": "assets", "settings": {"assets": arguments.asset, "all": arguments.all}}
    else:
        return None
    return {
        **when,
        "job": _job(arguments.job) if arguments.job else None,
        "from_run": arguments.from_run,
        "timezone": arguments.timezone,
        "start_date": arguments.start_date,
        "catchup": arguments.catchup,
        "max_active_runs": arguments.max_active_runs,
    }


def _job(name: str) -> object:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The job {name} can't be read: {getattr(error, 'strerror', None) or error}.") from error
    from cwl_ui_plugin.cwl.errors import JobError
    from cwl_ui_plugin.cwl.jobs.checks import read_job

    try:
        return read_job(text)
    except JobError as error:
        problems = " ".join(map(str, error.problems))
        raise UsageError(f"{name}: {error.message} {problems} Templates stand in quotes: '{{{{ ds }}}}'.") from error


class _Shown(TypedDict):
    """What is printed of a schedule, as the server tells of it."""

    description: str
    next_times: list[str]
    is_paused: bool
    is_dag_paused: bool
    problem: str


def _print(schedule: _Shown) -> None:
    print(schedule["description"])
    for moment in schedule["next_times"]:
        print(f"  next: {moment}")
    states = (
        (schedule["is_paused"], "The schedule is paused."),
        (schedule["is_dag_paused"], "The Dag is paused in Airflow."),
        (schedule["problem"], f"It starts nothing: {schedule['problem']}"),
    )
    for applies, text in states:
        if applies:
            print(text)

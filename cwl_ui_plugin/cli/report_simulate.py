"""``cwl-ui-plugin report-simulate``: send the reports of a run that is not there, for those who write a receiver."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Collection, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from cwl_ui_plugin import strict_json
from cwl_ui_plugin.cli.errors import UsageError

if TYPE_CHECKING:
    from cwl_ui_plugin.cwl.plan import Plan
    from cwl_ui_plugin.reports.delivery import Sender
    from cwl_ui_plugin.reports.simulation import Course
    from cwl_ui_plugin.reports.target import ReportTarget

COMPILE_SECONDS = 300
MAX_ELEMENTS = 1000
Sent = tuple[str, dict[str, object], datetime]
"""Route, payload, and when the run would send it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "workflow", metavar="WORKFLOW", help="a CWL document (file or file#process); no server is needed"
    )
    parser.add_argument("--url", default="http://127.0.0.1:8082", help="the receiver (default: that of report-server)")
    parser.add_argument("--endpoint", default="", help="the path before the routes, as in the Connection's extra")
    parser.add_argument("--route-prefix", help="what stands before the names of the routes (default: as in the format)")
    parser.add_argument("--format", default="", help="cwl-ui-plugin (default), 1.0 or 1.2: which generation's reports")
    parser.add_argument("-k", "--private-key", type=Path, help="file with the private key to sign with")
    parser.add_argument("-a", "--algorithm", default="RS256", help="algorithm of the signature (default: RS256)")
    parser.add_argument("--dag-id", help="name of the workflow (default: from the file's name)")
    parser.add_argument("--run-id", help="name of the run (default: a new one)")
    _add_course(parser)
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--interval", type=_positive, default=0.0, metavar="SECONDS", help="wait so long between reports")
    pace.add_argument(
        "--speed", type=_positive, metavar="TIMES", help="as the run would send them, so many times faster"
    )


def _add_course(parser: argparse.ArgumentParser) -> None:
    for name, text in (
        ("--fail", "let this step fail; what needs it does not run"),
        ("--retry", "let this step fail once, and be tried again"),
        ("--skip", "let this step be skipped, as by its when"),
    ):
        parser.add_argument(name, action="append", default=[], metavar="STEP", help=f"{text}; may be given repeatedly")
    parser.add_argument("--stop-at", default="", metavar="STEP", help="stop the run while this step runs")
    parser.add_argument("--elements", type=int, default=2, help="elements of each scattered step (default: 2)")
    parser.add_argument("--results", type=Path, help="file with the output object (default: something of each type)")


def run(arguments: argparse.Namespace) -> int:
    """Send the reports; return 0 if the receiver took all of them."""
    from cwl_ui_plugin.reports.delivery import Sender

    plan = _plan(arguments.workflow)
    sender = Sender(_target(arguments))
    accepted = True
    try:
        for route, payload in _paced(_reports(arguments, plan), arguments.interval, arguments.speed):
            accepted = _send(sender, route, payload) and accepted
    finally:
        sender.close()
    return 0 if accepted else 1


def _plan(file: str) -> Plan:
    """Compile a document with the files that it refers to, in a process of its own."""
    from cwl_ui_client.closure import TooManyFiles, closure, common_folder
    from cwl_ui_client.uploading import split_fragment

    from cwl_ui_plugin.cwl.compile_process import compile_in_process
    from cwl_ui_plugin.cwl.errors import CwlError

    path, fragment = split_fragment(file)
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    try:
        root = common_folder(closure(path))
        main = path.relative_to(root).as_posix() + fragment
        with tempfile.TemporaryDirectory() as out:
            return compile_in_process(root, main, Path(out) / "compiled", timeout=COMPILE_SECONDS)
    except TooManyFiles as error:
        raise UsageError(str(error)) from error
    except CwlError as error:
        lines = [f"{path}: {error.message}", *(f"  {problem.message}" for problem in error.problems)]
        raise UsageError("\n".join(lines)) from error


def _target(arguments: argparse.Namespace) -> ReportTarget:
    from cwl_ui_plugin.reports.errors import BadTarget
    from cwl_ui_plugin.reports.formats import format_named
    from cwl_ui_plugin.reports.target import ROUTES, ReportTarget

    try:
        form = format_named(arguments.format)
    except BadTarget as error:
        raise UsageError(f"--format {arguments.format}: it is cwl-ui-plugin, 1.0 or 1.2.") from error
    prefix = arguments.route_prefix
    routes = {} if prefix is None else {name: f"{prefix.strip('/')}/{name}".lstrip("/") for name in ROUTES}
    return ReportTarget(
        base_url="/".join(part for part in (arguments.url.rstrip("/"), arguments.endpoint.strip("/")) if part),
        private_key=_key(arguments.private_key) if arguments.private_key else None,
        algorithm=arguments.algorithm,
        allow_weak=True,
        routes=routes,
        form=form,
    )


def _reports(arguments: argparse.Namespace, plan: Plan) -> Iterator[Sent]:
    """Yield what is sent, as the server would build it."""
    from cwl_ui_plugin.reports import formats, simulation
    from cwl_ui_plugin.reports.simulated_tasks import tasks_of

    dag_id = arguments.dag_id or Path(arguments.workflow.partition("#")[0]).stem
    run_id = arguments.run_id or f"simulated-{uuid.uuid4()}"
    tasks = tasks_of(plan, arguments.elements)
    course = _course(arguments, plan, f"/simulated/{dag_id}/{run_id}")
    form, sequence = formats.format_named(arguments.format), 0
    for report, moment in simulation.reports_of(dag_id, run_id, tasks, course, datetime.now(timezone.utc)):
        report_id = str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps([dag_id, run_id, sequence])))
        built = formats.build(report, form, report_id=report_id, sequence=sequence + 1)
        if built is not None:
            sequence += 1
            yield (*built, moment)


def _course(arguments: argparse.Namespace, plan: Plan, folder: str) -> Course:
    from cwl_ui_plugin.reports.simulated_outputs import simulated_outputs
    from cwl_ui_plugin.reports.simulated_tasks import step_names
    from cwl_ui_plugin.reports.simulation import Course

    if not 1 <= arguments.elements <= MAX_ELEMENTS:
        raise UsageError(f"--elements is a number from 1 to {MAX_ELEMENTS}.")
    names = step_names(plan)
    stops = [arguments.stop_at] if arguments.stop_at else []
    for option, steps in {
        "fail": arguments.fail,
        "retry": arguments.retry,
        "skip": arguments.skip,
        "stop-at": stops,
    }.items():
        _check_steps(option, steps, names)
    results = _results(arguments.results) if arguments.results else simulated_outputs(plan, folder)
    return Course(arguments.fail, arguments.retry, arguments.skip, arguments.stop_at, results=results)


def _check_steps(option: str, steps: Collection[str], names: Collection[str]) -> None:
    unknown = [step for step in steps if step not in names]
    if unknown:
        raise UsageError(f"--{option} {unknown[0]}: there is no such step; the steps are {', '.join(names)}.")


def _paced(reports: Iterator[Sent], interval: float, speed: float | None) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield reports with the pauses that were asked for."""
    before: datetime | None = None
    for route, payload, moment in reports:
        if before is not None:
            time.sleep((moment - before).total_seconds() / speed if speed else interval)
        before = moment
        yield route, payload


def _send(sender: Sender, route: str, payload: dict[str, object]) -> bool:
    """Send one report and print it with the answer; return whether it was taken."""
    from cwl_ui_plugin.reports.errors import NotSigned, ReportError

    line: dict[str, object] = {"url": sender.target.url(route), "payload": payload}
    try:
        status, answer = sender.send(route, payload)
    except NotSigned as error:
        raise UsageError(f"{error} Name the key's algorithm with -a.") from error
    except ReportError as error:
        refusal = getattr(error, "status", None)
        print(json.dumps({**line, "status": refusal, "answer": getattr(error, "answer", "")}), flush=True)
        print(f"Not accepted: {error}", file=sys.stderr)
        if refusal is None:
            raise UsageError("The receiver does not answer: is it running, and is --url right?") from error
        return False
    print(json.dumps({**line, "status": status, "answer": answer}), flush=True)
    return True


def _results(path: Path) -> dict[str, object]:
    try:
        found = strict_json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"The output object {path} can't be read: {error}.") from error
    if not isinstance(found, dict):
        raise UsageError(f"The output object in {path} must be a JSON object.")
    return found


def _key(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The key {path} can't be read: {error}.") from error


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, or of times, from 0 to a day.")
    return value

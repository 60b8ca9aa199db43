"""What takes several of the others: all of a run, from a document to files in a folder."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path

from cwl_ui_client.errors import UsageError, WaitTimeout
from cwl_ui_client.fetching import Fetcher
from cwl_ui_client.models import Progress, Result, Run, Workflow
from cwl_ui_client.running import WAIT_SECONDS, Key, check_ending, get_run, new_run_id, pauses, start
from cwl_ui_client.staging import Stager
from cwl_ui_client.steps import Flow, Pause, get, workflow_path
from cwl_ui_client.uploading import Report, content_id, silent, upload

Job = Mapping[str, object] | str | Path


def read_job(job: Job | None, basedir: str | Path | None) -> tuple[dict[str, object], Path]:
    """Return a job, or that of a file (JSON, or YAML with PyYAML), and the folder that its paths are relative to."""
    if job is None or isinstance(job, Mapping):
        return dict(job or {}), Path(basedir or ".").absolute()
    path = Path(job)
    folder = Path(basedir).absolute() if basedir else path.absolute().parent
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}.") from error
    found = _parsed(path, text)
    if not isinstance(found, dict):
        raise UsageError(f"{path} is no job: it must be an object with a value for each input.")
    return found, folder


def _parsed(path: Path, text: str) -> object:
    import json

    if path.suffix == ".json":
        try:
            return json.loads(text)
        except ValueError as error:
            raise UsageError(f"{path} is no JSON: {error}.") from error
    try:
        import yaml
    except ImportError as error:
        raise UsageError("To read jobs in YAML, install PyYAML: pip install cwl-ui-client[yaml]") from error
    try:
        return yaml.safe_load(text) or {}
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{path} is no YAML: {error}") from error


def get_workflow(dag_id: str) -> Flow[Workflow]:
    """Return a workflow with its inputs and outputs."""
    data = yield from get(workflow_path(dag_id))
    return Workflow.of(data, inputs=tuple(data["inputs"]), outputs=tuple(data["outputs"]))


def list_workflows(search: str = "", limit: int = 100, offset: int = 0) -> Flow[list[Workflow]]:
    """Return workflows that the user may see."""
    params = {"search": search, "limit": str(limit), "offset": str(offset)}
    answer = yield from get("/workflows", params)
    return [Workflow.of(data, inputs=(), outputs=()) for data in answer["workflows"]]


def submit(
    dag_id: str,
    job: Job | None,
    *,
    basedir: str | Path | None = None,
    run_id: str | None = None,
    key: Key | None = None,
    report: Report = silent,
) -> Flow[Run]:
    """Send the files of a job that the server does not see, and start a run of it."""
    given, folder = read_job(job, basedir)
    staged = yield from Stager(dag_id, report).stage(given, folder)
    return (yield from start(dag_id, staged, run_id=run_id, key=key))


def wait(dag_id: str, run_id: str, report: Report = silent, timeout: float | None = None) -> Flow[Run]:
    """Wait until a run has ended, and return it, however that was; whoever drives may end that with a WaitTimeout.

    With ``timeout`` nothing that is asked of the server, and no pause, takes longer than what is left of it.
    """
    shown: object = None
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    waits = pauses()
    while True:
        asked = time.monotonic()
        wanted = min(WAIT_SECONDS, max(deadline - asked, 0))
        run = yield from get_run(dag_id, run_id, wait=wanted)
        answered = time.monotonic()
        has_waited = answered - asked > WAIT_SECONDS / 2
        now = (run.progress, run.state, run.waits)
        if now != shown:
            shown, waits = now, pauses()
            report(told(run))
        if run.has_ended:
            return run
        try:
            yield Pause(0 if has_waited else min(next(waits), max(deadline - answered, 0)))
        except WaitTimeout as error:
            text = f"The run {run_id} of {dag_id} has not ended in the time that was given; it goes on."
            raise WaitTimeout(text, run) from error


def told(run: Run) -> Progress:
    """Return how far a run is."""
    message = f"{run.dag_id}: {run.progress} %" + (f", {run.waits}" if run.waits else "")
    return Progress("running", message, run.progress / 100, run)


def fetch(url: str, run: Run, outdir: str | Path, report: Report = silent) -> Flow[Result]:
    """Bring the outputs of a run that has succeeded into a folder."""
    folder = Path(outdir).absolute()
    fetcher = Fetcher(url, run.dag_id, run.run_id, folder, report, source=run.output_folder)
    outputs = yield from fetcher.fetch(run.outputs or {})
    return Result(run, outputs, folder)


def begin(
    document: str | Path,
    job: Job | None,
    *,
    dag_id: str | None = None,
    basedir: str | Path | None = None,
    run_id: str | None = None,
    key: Key | None = None,
    replace: bool = False,
    report: Report = silent,
) -> Flow[Run]:
    """Upload a document, under a name made from its content unless one is given, and start a run of it.

    Another workflow that has the given name is an error, unless it is to be replaced.
    """
    name = dag_id or content_id(str(document))
    replace = replace or dag_id is None  # a name made from the content is that of no other
    uploaded = yield from upload(str(document), dag_id=name, replace=replace, report=report)
    wanted = run_id or new_run_id()
    return (yield from submit(uploaded.dag_id, job, basedir=basedir, run_id=wanted, key=key, report=report))


def finish(url: str, run: Run, outdir: str | Path | None, report: Report = silent) -> Flow[Result]:
    """Return what a run that has ended has delivered, fetched into a folder if one is named.

    Raises:
        RunFailed: it did not succeed.

    """
    check_ending(run)
    if outdir is None:
        return Result(run, run.outputs or {}, None)
    return (yield from fetch(url, run, outdir, report))

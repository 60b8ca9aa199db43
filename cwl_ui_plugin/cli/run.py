"""``cwl-ui-plugin run``: a CWL runner, as cwltest and users of cwltool expect one, on a running server.

Without a server it starts one for the one run, in a temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cwl_ui_plugin.cli.client import Client, add_server_arguments, path_of
from cwl_ui_plugin.cli.errors import CliError, RunFailed, UnsupportedWorkflow, UsageError
from cwl_ui_plugin.cli.upload import local_name, packed, split_fragment, upload
from cwl_ui_plugin.version import __version__

FIRST_POLL_SECONDS = 0.1
MAX_POLL_SECONDS = 1.0
UNSUPPORTED = "unsupported"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("workflow", metavar="WORKFLOW", help="a CWL document, or a job file with cwl:tool")
    parser.add_argument("job", metavar="JOB", nargs="?", help="the job, as YAML or JSON")
    parser.add_argument("--outdir", type=Path, default=Path(), help="folder for the outputs (default: this one)")
    parser.add_argument("--basedir", type=Path, help="what paths of the job are relative to (default: its folder)")
    parser.add_argument("--quiet", action="store_true", help="print nothing but the output object and errors")
    parser.add_argument("--version", action="version", version=f"cwl-ui-plugin {__version__}")
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the workflow; print its output object."""
    workflow, job, basedir = _workflow_and_job(arguments)
    with _server(arguments) as client:
        dag_id = _upload(client, workflow, arguments)
        from cwl_ui_plugin.cli.staging import Stager

        sent = Stager(client, dag_id).stage(job, basedir)
        run_id = f"cli-{uuid.uuid4()}"
        try:
            client.post(f"/workflows{path_of(dag_id)}/runs", json={"run_id": run_id, "job": sent})
            detail = _wait(client, dag_id, run_id, _say(arguments))
        except KeyboardInterrupt:
            client.post(f"/workflows{path_of(dag_id)}/runs{path_of(run_id)}/stop", json={})
            raise
        _check_ending(detail)
        from cwl_ui_plugin.cli.fetching import Fetcher

        outputs = Fetcher(client, dag_id, run_id, arguments.outdir.absolute()).fetch(detail["outputs"] or {})
    print(json.dumps(outputs, indent=4, ensure_ascii=False))
    return 0


def _workflow_and_job(arguments: argparse.Namespace) -> tuple[str, dict[str, Any], Path]:
    """Return the workflow, its job, and what paths of the job are relative to."""
    if arguments.job:
        job_file = Path(local_name(arguments.job))
        return arguments.workflow, _read(job_file), arguments.basedir or job_file.absolute().parent
    path, _fragment = split_fragment(arguments.workflow)
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    folder = path.absolute().parent
    content = _read(path) if b"cwl:tool" in path.read_bytes() else {}
    if "cwl:tool" in content:
        return str(folder / local_name(str(content.pop("cwl:tool")))), content, arguments.basedir or folder
    return arguments.workflow, {}, arguments.basedir or folder


def _read(path: Path) -> dict[str, Any]:
    from cwl_ui_plugin.cwl.errors import JobError
    from cwl_ui_plugin.cwl.jobs.checks import read_job

    try:
        return read_job(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.") from error
    except (JobError, UnicodeDecodeError) as error:
        problems = "".join(f"\n  {path}:{problem}" for problem in getattr(error, "problems", ()))
        raise UsageError(f"{path}: {error}{problems}") from error


def _upload(client: Client, workflow: str, arguments: argparse.Namespace) -> str:
    """Upload the workflow under a name made from its content, so that the same one is uploaded once."""
    path, fragment = split_fragment(workflow)
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).strip("-.") or "workflow"
    _name, content, main = packed(path)
    digest = hashlib.sha256(content if main is None else _stable(path)).hexdigest()
    dag_id = f"{name[:100]}-{hashlib.sha256(f'{digest}{fragment}'.encode()).hexdigest()[:12]}"
    state = upload(client, workflow, dag_id=dag_id, replace=True, progress=_say(arguments))
    return str(state["dag_id"])


def _stable(path: Path) -> bytes:
    """Return the contents of a document and its files; a zip of them has times in it, too."""
    from cwl_ui_plugin.library.closure import closure, common_folder

    files = closure(path)
    root = common_folder(files)
    return b"\0".join(f"{file.relative_to(root)}\0".encode() + file.read_bytes() for file in files)


def _wait(client: Client, dag_id: str, run_id: str, say: Any) -> dict[str, Any]:
    pause, shown = FIRST_POLL_SECONDS, None
    while True:
        detail: dict[str, Any] = client.get(f"/workflows{path_of(dag_id)}/runs{path_of(run_id)}")
        if detail["state"] in ("success", "failed"):
            return detail
        if detail["progress"] != shown:
            shown = detail["progress"]
            say(f"{dag_id}: {shown} %")
            pause = FIRST_POLL_SECONDS
        time.sleep(pause)
        pause = min(pause * 1.3, MAX_POLL_SECONDS)


def _check_ending(detail: dict[str, Any]) -> None:
    if detail["state"] == "success":
        return
    if detail.get("reason") == "stopped":
        raise RunFailed(f"Stopped by {detail.get('stopped_by')}.")
    failed = [step for step in detail["steps"] if step["state"] == "failed"]
    ends = [step["stderr"] for step in failed if step.get("stderr")]
    text = "\n".join([detail.get("error") or "The run failed.", *ends])
    if any(step.get("error_kind") == UNSUPPORTED for step in failed):
        raise UnsupportedWorkflow(text)
    raise RunFailed(text)


def _say(arguments: argparse.Namespace) -> Any:
    return (lambda _text: None) if arguments.quiet else (lambda text: print(text, file=sys.stderr))


@contextlib.contextmanager
def _server(arguments: argparse.Namespace) -> Iterator[Client]:
    """Yield a client of the server that is named, or of one that is started for this run."""
    if arguments.url:
        yield Client.of(arguments)
        return
    with tempfile.TemporaryDirectory(prefix="cwl-ui-plugin-") as folder:
        ready = Path(folder) / "ready.json"
        command = [sys.executable, "-m", "cwl_ui_plugin.cli.main", "standalone", "--port", "0"]
        command += ["--home", f"{folder}/home", "--ready-file", str(ready), "--input-root", "/"]
        with (Path(folder) / "log").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            data = _wait_for_server(process, ready, Path(folder) / "log", _say(arguments))
            client = Client(data["url"])
            client.log_in(data["user"], data["password"])
            yield client
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
            process.wait()


def _wait_for_server(process: subprocess.Popen[bytes], ready: Path, log: Path, say: Any) -> dict[str, str]:
    say("Starting a server for this run …")
    while not ready.exists():  # it gives up by itself when it does not get on
        if process.poll() is not None:
            raise CliError(f"The server did not start:\n{log.read_text()[-2000:]}")
        time.sleep(FIRST_POLL_SECONDS)
    data: dict[str, str] = json.loads(ready.read_text())
    return data

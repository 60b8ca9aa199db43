"""``cwl-ui-plugin run``: a CWL runner, as cwltest and users of cwltool expect one, on a running server.

Without a server it starts one for the one run, in a temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cwl_ui_client.uploading import local_name, split_fragment

from cwl_ui_plugin.cli.client import Client, add_server_arguments
from cwl_ui_plugin.cli.errors import CliError, UsageError
from cwl_ui_plugin.cli.upload import Said
from cwl_ui_plugin.interpreters import module_command
from cwl_ui_plugin.version import __version__

POLL_SECONDS = 0.1


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
    from cwl_ui_client import flows, running

    workflow, job, basedir = _workflow_and_job(arguments)
    say, run_id = Said(quiet=arguments.quiet), running.new_run_id("cli")
    with _server(arguments) as client:
        begun = client.drive(flows.begin(workflow, job, basedir=basedir, run_id=run_id, report=say))
        try:
            ended = client.drive(flows.wait(begun.dag_id, run_id, say))
        except KeyboardInterrupt:
            client.drive(running.stop(begun.dag_id, run_id))
            raise
        result = client.drive(flows.finish(client.url, ended, arguments.outdir, say))
    print(json.dumps(result.outputs, indent=4, ensure_ascii=False))
    return 0


def _workflow_and_job(arguments: argparse.Namespace) -> tuple[str, dict[str, object], Path]:
    """Return the workflow, its job, and what paths of the job are relative to."""
    if arguments.job:
        job_file = Path(local_name(arguments.job))
        return arguments.workflow, _read(job_file), arguments.basedir or job_file.absolute().parent
    path, _fragment = split_fragment(arguments.workflow)
    folder = path.absolute().parent
    content = _read(path) if b"cwl:tool" in path.read_bytes() else {}
    if "cwl:tool" in content:
        return str(folder / local_name(str(content.pop("cwl:tool")))), content, arguments.basedir or folder
    return arguments.workflow, {}, arguments.basedir or folder


def _read(path: Path) -> dict[str, object]:
    from cwl_ui_plugin.cwl.errors import JobError
    from cwl_ui_plugin.cwl.jobs.checks import read_job

    try:
        return read_job(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.") from error
    except (JobError, UnicodeDecodeError) as error:
        problems = "".join(f"\n  {path}:{problem}" for problem in getattr(error, "problems", ()))
        raise UsageError(f"{path}: {error}{problems}") from error


@contextlib.contextmanager
def _server(arguments: argparse.Namespace) -> Iterator[Client]:
    """Yield a client of the server that is named, or of one that is started for this run."""
    if arguments.url:
        yield Client.of(arguments)
        return
    with tempfile.TemporaryDirectory(prefix="cwl-ui-plugin-") as folder:
        ready = Path(folder) / "ready.json"
        command = module_command("cwl_ui_plugin.cli.main", "standalone", "--port", "0")
        command += ["--home", f"{folder}/home", "--ready-file", str(ready), "--input-root", "/"]
        with (Path(folder) / "log").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            data = _wait_for_server(process, ready, Path(folder) / "log", quiet=arguments.quiet)
            client = Client(data["url"])
            client.log_in(data["user"], data["password"])
            yield client
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
            process.wait()


def _wait_for_server(process: subprocess.Popen[bytes], ready: Path, log: Path, *, quiet: bool) -> dict[str, str]:
    if not quiet:
        print("Starting a server for this run …", file=sys.stderr)
    while not ready.exists():  # it gives up by itself when it does not get on
        if process.poll() is not None:
            raise CliError(f"The server did not start:\n{log.read_text()[-2000:]}")
        time.sleep(POLL_SECONDS)
    data: dict[str, str] = json.loads(ready.read_text())
    return data

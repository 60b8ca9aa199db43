"""What a job of Slurm finds on the shared file system: its workload, with the token, and its environment.

::

    <tmp_folder>/.control/slurm/environments/<digest>.json   what processes of tasks have in their environment
    <tmp_folder>/.control/slurm/jobs/<id>/submission.json    which task instances the elements of a submission are
    <tmp_folder>/.control/slurm/jobs/<id>/<index>.json       the workload of one of them, for Airflow's execute_workload
    <tmp_folder>/.control/slurm/jobs/<id>/<index>.out        what it printed
    <tmp_folder>/.control/slurm/jobs/<id>/<index>.end        with which code it ended, once nothing of it is left

A submission is an array of jobs, or one job. All files are for their user alone. The id stands in the comment of the
jobs, and its folder is written before they are submitted: whoever finds a job in Slurm knows whose it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cwl_ui_plugin import atomic, config
from cwl_ui_plugin.cwl.processes.task_processes import SERVER_VARIABLE, TAG_VARIABLE
from cwl_ui_plugin.cwl.small_files import read_small
from cwl_ui_plugin.dags.folders import control_files, run_folder
from cwl_ui_plugin.interpreters import module_command

if TYPE_CHECKING:
    from cwl_ui_plugin.executors.needs import Needs

SUBMISSION = "submission.json"
SHOWN_OF_OUTPUT = 300
_COMMENT = re.compile(r"airflow:(?P<installation>[0-9a-f]+):(?P<id>[0-9a-f]{32})( .*)?")
_MAX_COMMENT = 200
_MAX_NAME = 100
_WITHHELD = re.compile(
    r"AIRFLOW__DATABASE__.*|AIRFLOW__API_AUTH__JWT_(SECRET|PRIVATE_KEY_PATH).*|AIRFLOW__API__SECRET_KEY.*|"
    r"AIRFLOW__CORE__(FERNET_KEY|SQL_ALCHEMY_CONN).*|AIRFLOW__WEBSERVER__SECRET_KEY.*|AIRFLOW__CELERY__.*|"
    r"AIRFLOW__\w+_(CMD|SECRET)|AIRFLOW_(CONN|VAR)_.*|CWL_UI_TOKEN"
)
"""What tasks have from the API server, or no use for."""
_PASSED = re.compile(
    r"AIRFLOW.*|CWL_.*|PATH|PYTHON.*|LD_LIBRARY_PATH|LANG|LC_\w+|TZ|HOME|USER|VIRTUAL_ENV|SSL_CERT_\w+"
    r"|\w+_proxy|\w+_PROXY|REQUESTS_CA_BUNDLE|OTEL_.*"
)
_OF_THIS_PROCESS = (TAG_VARIABLE, SERVER_VARIABLE)


@dataclass(frozen=True)
class Instance:
    """A task instance in a submission; ``id`` is Airflow's, of one try."""

    id: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int

    @property
    def task(self) -> run_folder.TaskTry:
        """It as what holds a lease."""
        return run_folder.TaskTry(self.dag_id, self.run_id, self.task_id, self.map_index, self.try_number)

    @property
    def label(self) -> str:
        """It as people write it."""
        name = self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"
        return f"{self.dag_id} {self.run_id} {name} try {self.try_number}"


@dataclass(frozen=True)
class Submission:
    """Task instances that are submitted together: the elements of an array, or one."""

    id: str
    instances: tuple[Instance, ...]

    @property
    def folder(self) -> Path:
        """Its folder."""
        return _jobs() / self.id

    @property
    def comment(self) -> str:
        """What its jobs carry in Slurm: which submission of which Airflow they are, then what it is for people."""
        first = self.instances[0]
        what = first.label if len(self.instances) == 1 else f"{first.dag_id} {first.run_id} {first.task_id}"
        return f"airflow:{run_folder.this_installation()}:{self.id} {_printable(what)}"[:_MAX_COMMENT]

    @property
    def name(self) -> str:
        """What its jobs are called in Slurm."""
        first = self.instances[0]
        return _printable(f"{first.dag_id}.{first.task_id}")[:_MAX_NAME].lstrip("-") or "airflow"

    def arguments(self, needs: Needs) -> list[str]:
        """Return the options of ``sbatch``; of an array, all elements in one call."""
        made = [
            f"--job-name={self.name}",
            f"--comment={self.comment}",
            f"--chdir={self.folder}",
            f"--output={str(self.folder).replace('%', '%%')}/{'%a' if len(self.instances) > 1 else '0'}.out",
            "--open-mode=append",
            "--no-requeue",
            "--export=ALL",
            "--ntasks=1",
            *needs.arguments(),
        ]
        if len(self.instances) > 1:
            made.append(f"--array=0-{len(self.instances) - 1}")
        return made

    def script(self) -> str:
        """Return what the batch script is: nothing in it is secret."""
        command = module_command("cwl_ui_plugin.executors.node", str(self.folder))
        return f"#!/bin/sh\nexec {shlex.join(command)}\n"


def prepare(instances: Sequence[Instance], workloads: Sequence[str]) -> Submission:
    """Write the folder of a new submission; ``workloads`` are JSON, in the order of the instances.

    Raises:
        OSError: it can't be written; nothing of it is left.

    """
    made = Submission(uuid.uuid4().hex, tuple(instances))
    config.make_private(_jobs())
    try:
        made.folder.mkdir(mode=0o700)
        environment = _write_environment(os.environ)
        for index, workload in enumerate(workloads):
            _write(made.folder / f"{index}.json", workload)
        data = {"environment": str(environment), "instances": [vars(one) for one in instances]}
        _write(made.folder / SUBMISSION, json.dumps(data))
    except BaseException:
        forget(made.id)
        raise
    return made


def submission_in(comment: str) -> str | None:
    """Return the id of the submission that a job of this Airflow carries in its comment."""
    match = _COMMENT.fullmatch(comment.strip())
    return match["id"] if match and match["installation"] == run_folder.this_installation() else None


def read(submission_id: str) -> Submission | None:
    """Return a submission that was written, or None."""
    try:
        content = read_small(_jobs() / submission_id / SUBMISSION, 64 * config.MEBIBYTE)
        found = json.loads(content) if content is not None else None
        return Submission(submission_id, tuple(Instance(**one) for one in found["instances"])) if found else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def has_begun(submission_id: str) -> bool:
    """Whether an element has begun: Slurm has made the file of its output."""
    return any(path.suffix in (".out", ".end") for path in control_files.listed(_jobs() / submission_id))


def exit_code(submission_id: str, index: int) -> int | None:
    """Return the code that an element has left; None where it has not ended by itself."""
    try:
        content = read_small(_jobs() / submission_id / f"{index}.end")
        return int(content) if content else None
    except (OSError, ValueError):
        return None


def last_words(submission_id: str, index: int) -> str:
    """Return the end of what an element has printed, for a message."""
    try:
        with (_jobs() / submission_id / f"{index}.out").open("rb") as file:
            begin = max(0, os.fstat(file.fileno()).st_size - 64 * SHOWN_OF_OUTPUT)
            file.seek(begin)
            lines = file.read().decode("utf-8", "replace").split("\n")[1 if begin else 0 :]
    except OSError:
        return ""
    told = [line.strip() for line in lines if line.strip() and not line.startswith("{")]
    return " ".join("".join(c for c in line if c.isprintable()) for line in told)[-SHOWN_OF_OUTPUT:]


def forget_workload(submission_id: str, index: int) -> None:
    """Remove what one element runs: its job does nothing, should it come."""
    with suppress(OSError):
        (_jobs() / submission_id / f"{index}.json").unlink()


def forget(submission_id: str) -> None:
    """Remove what a submission needs, once nothing of it can run any more."""
    shutil.rmtree(_jobs() / submission_id, ignore_errors=True)


def forget_older(seconds: float, kept: Collection[str]) -> None:
    """Remove the submissions that were written so long ago, but for those that are ``kept``."""
    for name in list(known()):
        with suppress(OSError):
            if name not in kept and time.time() - (_jobs() / name).lstat().st_mtime > seconds:
                forget(name)


def known() -> Iterator[str]:
    """Yield the ids of the submissions that have a folder."""
    for path in control_files.listed(_jobs()):
        if re.fullmatch(r"[0-9a-f]{32}", path.name):
            yield path.name


def environment_of_tasks(own: Mapping[str, str]) -> dict[str, str]:
    """Return what of this process's environment processes of tasks get."""
    return {
        name: value
        for name, value in own.items()
        if _PASSED.fullmatch(name) and not _WITHHELD.fullmatch(name) and name not in _OF_THIS_PROCESS
    }


def _write_environment(own: Mapping[str, str]) -> Path:
    umask = os.umask(0o077)
    os.umask(umask)
    settings = {"umask": umask, "grace": config.number("stop_grace"), "variables": environment_of_tasks(own)}
    text = json.dumps(settings, sort_keys=True)
    path = _folder() / "environments" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
    if not path.exists():
        config.make_private(path.parent)
        _write(path, text)
    return path


def _write(path: Path, text: str) -> None:
    atomic.write_text(path, text, mode=atomic.OWNER_ONLY)


def _folder() -> Path:
    return config.control_folder() / "slurm"


def _jobs() -> Path:
    return _folder() / "jobs"


def _printable(text: str) -> str:
    with suppress(UnicodeError):
        text = text.encode("ascii", "replace").decode("ascii")
    return re.sub(r"[^A-Za-z0-9_.:+@ \[\]-]", "?", text)

"""Which container engine runs tools with a DockerRequirement, and ending its containers.

Containers of docker and podman are no children of the task: the engine keeps them. cwltool has it write each id into a
file of the task's folder. With singularity and udocker a container is a process like any other.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

from cwl_ui_plugin.cwl.errors import StepError

NONE = "none"
ASK_SECONDS = 10
END_SECONDS = 30
CID_PREFIX = "container"
# In the order in which "auto" takes them; each is asked something that only a working engine answers.
_QUESTIONS: dict[str, tuple[str, ...]] = {
    "docker": ("docker", "info", "--format", "{{.ID}}"),
    "podman": ("podman", "info", "--format", "{{.Host.OS}}"),
    "singularity": ("singularity", "--version"),
    "udocker": ("udocker", "version"),
}
_OTHER_NAMES = {"singularity": "apptainer"}


@cache
def detect_engine(wanted: str) -> str:
    """Return the engine to use: ``wanted`` itself, or for ``auto`` the first that answers, or ``none``.

    Raises:
        StepError: ``wanted`` is an engine that does not answer.

    """
    if wanted == NONE:
        return NONE
    if wanted == "auto":
        return next((engine for engine in _QUESTIONS if _answers(engine)), NONE)
    if not _answers(wanted):
        raise StepError(
            f"The container engine {wanted!r} ([cwl] container_engine) does not answer on this worker: "
            f"`{' '.join(_QUESTIONS[wanted])}` fails."
        )
    return wanted


def _answers(engine: str) -> bool:
    question = _QUESTIONS[engine]
    program = shutil.which(question[0]) or shutil.which(_OTHER_NAMES.get(engine, question[0]))
    if program is None:
        return False
    try:
        answer = subprocess.run([program, *question[1:]], capture_output=True, timeout=ASK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def end_containers(folder: Path, wanted: str) -> list[str]:
    """End the containers that a task has started; return those that are still there.

    ``folder`` is the task's, with the files of their ids; ``wanted`` is the configured engine.
    """
    cid_files = sorted(folder.glob(f"{CID_PREFIX}-*.cid")) if folder.is_dir() else []
    if not cid_files:
        return []
    try:
        engine = detect_engine(wanted)
    except StepError:
        engine = wanted  # it does not answer now: its containers are named as left
    return [line for path in cid_files if (line := _end(engine, path))]


def _end(engine: str, cid_file: Path) -> str | None:
    container = cid_file.read_text(encoding="utf-8", errors="replace").strip()
    if container and not _remove(engine, container):
        return f"container {container[:12]} ({engine})"
    cid_file.unlink(missing_ok=True)
    return None


def _remove(engine: str, container: str) -> bool:
    """Remove a container, running or not; return whether it is gone."""
    try:
        subprocess.run([engine, "rm", "--force", container], capture_output=True, timeout=END_SECONDS, check=False)
        listed = subprocess.run(
            [engine, "ps", "--all", "--quiet", "--no-trunc"],
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and container not in listed.stdout.split()

"""Which container engine runs tools with a DockerRequirement, and ending its containers.

Containers of docker and podman are no children of the task: the engine keeps them. Each has its id in a file of the
task's folder, and the task's mark in a label. With singularity and udocker a container is a process like any other.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.small_files import read_small

NONE = "none"
ASK_SECONDS = 10
END_SECONDS = 30
CID_PREFIX = "container"
LABEL = "cwl-ui-plugin.task"
ENGINE_FILE = "engine.txt"
"""In a task's folder: the program that keeps its containers, written before the first is started."""
# In the order in which "auto" takes them; each is asked something that only a working engine answers.
_QUESTIONS: dict[str, tuple[str, ...]] = {
    "docker": ("docker", "ps", "--quiet"),
    "podman": ("podman", "info", "--format", "{{.Host.OS}}"),
    "singularity": ("singularity", "--version"),
    "udocker": ("udocker", "version"),
}
_OTHER_NAMES = {"singularity": "apptainer"}
_LARGEST_FILE = 1024


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
    answer = _ask(program, *question[1:], seconds=ASK_SECONDS)
    return answer is not None and answer.returncode == 0


def end_containers(folder: Path, mark: str) -> list[str]:
    """End the containers that a task has started, and return those that are still there.

    ``folder`` is the task's, with the files of their ids, ``mark`` is in their label. Nobody is asked where the task
    has started none.
    """
    engine = _small_text(folder / ENGINE_FILE)
    if engine not in _QUESTIONS:  # the file is where commands can write, too
        return []
    containers = {path: _small_text(path) for path in cid_files(folder)}
    containers = {path: name for path, name in containers.items() if not name.startswith("-")}
    for container in {*containers.values(), *_labelled(engine, mark)} - {""}:
        remove(engine, container)
    there = _listed(engine, "ps", "--all", "--quiet", "--no-trunc")
    for path, container in containers.items():
        if there is not None and container not in there:
            path.unlink(missing_ok=True)
    left = {*containers.values()} - {""} if there is None else {*containers.values()} & there
    return [f"container {container[:12]} ({engine})" for container in sorted(left | set(_labelled(engine, mark)))]


def remove(engine: str, container: str) -> None:
    """Kill a container and remove it; one that is gone is no error."""
    # podman's rm gives a container 10 seconds for its SIGTERM
    for words in (("kill", container), ("rm", "--force", container)):
        _ask(engine, *words, seconds=END_SECONDS)


def cid_files(folder: Path) -> list[Path]:
    """Return the files in which the engine's clients have written the ids of a task's containers."""
    return sorted(folder.glob(f"{CID_PREFIX}-*.cid"))


def _small_text(path: Path) -> str:
    try:
        return (read_small(path, _LARGEST_FILE) or b"").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _labelled(engine: str, mark: str) -> set[str]:
    """Return the containers with a mark: also those that were killed before their id was written."""
    return _listed(engine, "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}={mark}") or set()


def _listed(engine: str, *words: str) -> set[str] | None:
    """Return the ids that an engine prints, or None if it does not answer."""
    answer = _ask(engine, *words, seconds=ASK_SECONDS)
    return set(answer.stdout.split()) if answer is not None and answer.returncode == 0 else None


def _ask(program: str, *words: str, seconds: float) -> subprocess.CompletedProcess[str] | None:
    """Return the answer of an engine, or None if there is none."""
    try:
        return subprocess.run([program, *words], capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None

"""Ending the containers of a task; which engine runs them is found by :mod:`cwl_ui_plugin.cwl.containers.engines`.

Containers of docker and podman are no children of the task: the engine keeps them. Each has its id in a file of the
task's folder, and the task's tag in a label. With singularity and udocker a container is a process like any other.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from cwl_ui_plugin.cwl.containers.engines import ENGINES
from cwl_ui_plugin.cwl.small_files import read_small

ASK_SECONDS = 10
END_SECONDS = 30
CID_PREFIX = "container"
LABEL = "cwl-ui-plugin.task"
ENGINE_FILE = "engine.txt"
"""In a task's folder: the program that keeps its containers, written before the first is started."""
_MAX_FILE = 1024


def end_containers(folder: Path, tag: str) -> list[str]:
    """End the containers that a task has started, and return those that are still there.

    ``folder`` is the task's, with the files of their ids, ``tag`` is in their label. Nobody is asked where the task
    has started none. That an engine does not answer is no proof that there is none: a container that was killed early
    is known by its label alone.
    """
    engine = _small_text(folder / ENGINE_FILE)
    if engine not in ENGINES:  # the file is where commands can write, too
        return []
    containers = {path: _small_text(path) for path in cid_files(folder)}
    containers = {path: name for path, name in containers.items() if not name.startswith("-")}
    for container in {*containers.values(), *(_labelled(engine, tag) or ())} - {""}:
        remove(engine, container)
    there = _listed(engine, "ps", "--all", "--quiet", "--no-trunc")
    for path, container in containers.items():
        if there is not None and container not in there:
            path.unlink(missing_ok=True)
    left = {*containers.values()} - {""} if there is None else {*containers.values()} & there
    labelled = _labelled(engine, tag)
    if labelled is None and not left:
        return [f"containers that {engine} keeps, which does not answer"]
    return [f"container {container[:12]} ({engine})" for container in sorted(left | (labelled or set()))]


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
        return (read_small(path, _MAX_FILE) or b"").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _labelled(engine: str, tag: str) -> set[str] | None:
    """Return the containers with a tag, those too that were killed before their id was written; None for no answer."""
    return _listed(engine, "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}={tag}")


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

"""Which container engine runs tools with a DockerRequirement.

Not installed, not working and slow are three things. What is not installed is not there for good: a tool that does not
need its container runs without. What is installed was meant to be used: no tool runs outside of its container because
an engine is slow or out of order, the task is tried again.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from typing import IO

from cwl_ui_plugin.cwl.errors import StepError

NONE = "none"
AUTO = "auto"
PATIENCE_SECONDS = 120.0
# In the order in which "auto" takes them; each is asked something that only a working engine answers.
QUESTIONS: dict[str, tuple[str, ...]] = {
    "docker": ("docker", "ps", "--quiet"),
    "podman": ("podman", "info", "--format", "{{.Host.OS}}"),
    "singularity": ("singularity", "--version"),
    "udocker": ("udocker", "version"),
}
_OTHER_NAMES = {"singularity": "apptainer"}
_SHOWN_BYTES = 600


def detect_engine(wanted: str, seconds: float = PATIENCE_SECONDS) -> str:
    """Return the engine to use: ``wanted`` itself, or for ``auto`` the first that answers.

    ``none`` is the answer for ``none``, and for ``auto`` where no engine is installed. ``seconds`` is how long each
    engine is waited for.

    Raises:
        StepError: ``wanted`` is not installed (``permanentFail``), or what is installed does not work or does not
            answer (``temporaryFail``).

    """
    if wanted == NONE:
        return NONE
    troubles = []
    for engine in QUESTIONS if wanted == AUTO else (wanted,):
        if (program := program_of(engine)) is None:
            continue
        if (trouble := _trouble(program, engine, seconds)) is None:
            return engine
        troubles.append(trouble)
    if troubles:
        raise StepError(_no_engine(troubles), kind="temporaryFail")
    if wanted != AUTO:
        raise StepError(
            f"The container engine {wanted!r} ([cwl] container_engine) is not installed on this worker: there is no "
            f"program {QUESTIONS[wanted][0]} on its PATH."
        )
    return NONE


def program_of(engine: str) -> str | None:
    """Return the path of an engine's program, or None where it is not installed."""
    name = QUESTIONS[engine][0]
    return shutil.which(name) or shutil.which(_OTHER_NAMES.get(engine, name))


def _trouble(program: str, engine: str, seconds: float) -> str | None:
    """Ask an engine; return what is wrong, or None if it works."""
    words = QUESTIONS[engine][1:]
    question = f"`{' '.join((program, *words))}`"
    with tempfile.TemporaryFile() as said:  # no pipe: what an engine leaves running would hold it open
        try:
            code = _ask([program, *words], said, seconds)
        except subprocess.TimeoutExpired:
            return f"{question} has not answered within {seconds:g} seconds ([cwl] container_engine_timeout)."
        except OSError as error:
            return f"{question} can't be started: {error.strerror}."
        if code == 0:
            return None
        said.seek(max(0, said.seek(0, os.SEEK_END) - _SHOWN_BYTES))
        text = said.read().decode("utf-8", "replace").strip()
    ending = "" if text.endswith((".", "?", "!")) else "."
    return f"{question} fails with exit code {code}{f': {text}' if text else ''}{ending}"


def _ask(command: list[str], said: IO[bytes], seconds: float) -> int:
    """Return the exit code of a program; one that takes longer is ended, with all that it has started."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
    ) as asked:
        try:
            return asked.wait(seconds)
        finally:
            if asked.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(asked.pid, signal.SIGKILL)


def _no_engine(troubles: list[str]) -> str:
    return (
        f"No container engine of this worker works at the moment. {' '.join(troubles)} That may pass: the task is "
        "tried again as often as [cwl] retries says. Where tools are to run without containers, set [cwl] "
        "container_engine = none."
    )

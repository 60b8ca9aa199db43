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
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from cwl_ui_plugin.cwl.errors import StepError

NONE = "none"
AUTO = "auto"
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Engine:
    """A container engine: all that has to be known of one, but for its name in ``container_options.CONTAINER_ENGINES``.

    ``question`` is a command that only a working engine answers, ``other_name`` another program that is the same
    engine. ``programs`` are what its processes are called. ``is_client``: the containers of a command are no children
    of the program that asks for them. ``context`` is how cwltool's RuntimeContext is told to use it.
    """

    question: tuple[str, ...]
    programs: frozenset[str]
    other_name: str | None = None
    is_client: bool = False
    context: Mapping[str, object] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that its program may have, the usual one first."""
        return (self.question[0], self.other_name) if self.other_name else self.question[:1]


# In the order in which "auto" takes them.
ENGINES: dict[str, Engine] = {
    "docker": Engine(("docker", "ps", "--quiet"), frozenset(("docker",)), is_client=True),
    "podman": Engine(
        ("podman", "info", "--format", "{{.Host.OS}}"),
        frozenset(("podman", "conmon", "runc", "crun")),
        is_client=True,
        context={"podman": True},
    ),
    "singularity": Engine(
        ("singularity", "--version"),
        frozenset(("singularity", "apptainer", "starter")),
        other_name="apptainer",
        context={"singularity": True},
    ),
    "udocker": Engine(("udocker", "version"), frozenset(("udocker",)), context={"user_space_docker_cmd": "udocker"}),
}
PROGRAMS = frozenset(name for engine in ENGINES.values() for name in engine.programs)
CLIENTS = frozenset(name for engine in ENGINES.values() if engine.is_client for name in engine.names)
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
    for engine in ENGINES if wanted == AUTO else (wanted,):
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
            f"program {ENGINES[wanted].names[0]} on its PATH."
        )
    return NONE


def context_of(engine: str) -> dict[str, object]:
    """Return what cwltool's RuntimeContext is told of an engine."""
    return {"use_container": engine != NONE, **(ENGINES[engine].context if engine != NONE else {})}


def program_of(engine: str) -> str | None:
    """Return the path of an engine's program, or None where it is not installed."""
    return next((path for name in ENGINES[engine].names if (path := shutil.which(name))), None)


def _trouble(program: str, engine: str, seconds: float) -> str | None:
    """Ask an engine; return what is wrong, or None if it works."""
    words = ENGINES[engine].question[1:]
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

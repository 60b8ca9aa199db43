"""Which container engine runs tools with a DockerRequirement."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

from cwl_ui_plugin.cwl.errors import StepError

NONE = "none"
ASK_SECONDS = 10
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

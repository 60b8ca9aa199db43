"""What cwltool says about a step that failed, in words for users: no names of its jobs, no scripts, no traces."""

from __future__ import annotations

import re
import signal

_JOB = re.compile(r"^(?:\[(?:job|step|workflow) [^\]]*\] (?:Job error:\n)?|Exception while running job: )")
_SCRIPT = re.compile(
    r"(?:Failed to evaluate expression:\n)?Expression evaluation error:\n.*?"
    r"script was:\n(?P<script>.*)\nstdout was: '?(?P<out>.*?)'?\nstderr was: '?(?P<err>.*?)'?\s*\Z",
    re.DOTALL,
)
_NUMBER = re.compile(r"^\d+ ", re.MULTILINE)
_TRACE = re.compile(r"^\s*(?:at .*|\^+|evalmachine.*)?$")
_PERHAPS_MEMORY = ", perhaps because memory ran out"
_OF_SHELLS = 128


def plain(complaint: str) -> str:
    """Return what is wrong."""
    text = _JOB.sub("", complaint.strip())
    return _SCRIPT.sub(_expression, text)


def is_of_expression(complaint: str) -> bool:
    """Whether it is about JavaScript that failed."""
    return _SCRIPT.search(complaint) is not None


def ending(exit_code: int) -> str:
    """Return how a command ended, for an exit code that is not 0; it is negative for a signal."""
    if exit_code < 0:
        return f"was ended by signal {-exit_code}{_signal(-exit_code)}"
    if exit_code > _OF_SHELLS and _name(exit_code - _OF_SHELLS):
        number = exit_code - _OF_SHELLS
        return f"ended with exit code {exit_code} (usual for signal {number}{_signal(number)})"
    return f"ended with exit code {exit_code}"


def _signal(number: int) -> str:
    name = _name(number)
    return f", {name}{_PERHAPS_MEMORY if number == signal.SIGKILL else ''}" if name else ""


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def _expression(found: re.Match[str]) -> str:
    said = [line.strip() for line in found["err"].splitlines() if not _TRACE.match(line)]
    code = _NUMBER.sub("", found["script"]).splitlines()[-1].strip()
    if not said:
        return f"a JavaScript expression gave no value, or did not end within its time: {code}"
    return f"a JavaScript expression failed: {said[-1]}, in {code}"

"""What can be wrong with a CWL document, with a job, or with a step. One tree, nothing of Airflow in it.

CwlError
├── DocumentError          the upload can't be used; carries Problems with file, line and column
│   ├── UnsupportedError   valid CWL that needs a feature or version that cwltool does not have
│   ├── ChoiceError        several processes could be meant; carries their names
│   ├── CompileTimeout     validation took longer than allowed
│   └── CompileInterrupted validation was killed
├── UnknownFormat          a stored workflow is of a format that this version does not read
├── JobError               a job does not fit the workflow's inputs; one Problem for each input
│   └── FolderTaken        it names a folder that is another run's
├── StoppedError           the run was stopped before the task, or its command, began
└── StepError              a step ended badly; carries the exit code and the end of stderr
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where.

    ``file`` is relative to the upload; ``line`` and ``column`` count from 1; ``input`` is the name of the
    input that a job has wrong. What does not apply is None.
    """

    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    input: str | None = None

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return ": ".join(part for part in (where, self.input, self.message) if part)

    def as_json(self) -> dict[str, object]:
        """Return the fields that are set, for an API's answer."""
        return {key: value for key, value in asdict(self).items() if value is not None}


class CwlError(Exception):
    """Base of this layer's errors; ``str()`` is a message for users."""

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.problems = problems

    @property
    def in_full(self) -> str:
        """The message with all problems below it, for where nothing else shows them."""
        return "\n".join([self.message, *(f"- {problem}" for problem in self.problems)])


class DocumentError(CwlError):
    """The document can't be used."""


class UnsupportedError(DocumentError):
    """The document is right, but needs what cwltool does not support; a CWL runner exits with 33."""


class ChoiceError(DocumentError):
    """Several processes of the document could be meant: ``choices`` are what a caller may name as the main one."""

    def __init__(self, message: str, problems: tuple[Problem, ...] = (), *, choices: tuple[str, ...] = ()) -> None:
        super().__init__(message, problems)
        self.choices = choices


class CompileTimeout(DocumentError):
    """Validation took longer than it may."""


class CompileInterrupted(DocumentError):
    """Validation was killed, or the process that does it could not start."""


class UnknownFormat(CwlError):
    """A stored workflow is of a format that this version of the plugin does not read: it has to be compiled anew."""


class JobError(CwlError):
    """The job does not fit the workflow's inputs."""


class FolderTaken(JobError):
    """The job names a folder that is another run's."""


class StoppedError(CwlError):
    """The run was stopped, by whom the message says; what began nevertheless ends."""

    kind = "stopped"


class StepError(CwlError):
    """A step ended badly.

    ``kind`` is cwltool's word (``permanentFail`` or ``temporaryFail``), ``stderr`` the end of the command's
    standard error, ``exit_code`` and ``command`` the command's, where one ran. ``used`` is what it used and had asked
    for: ``{"seconds", "cpu_seconds", "peak_memory_bytes", "asked_cores", "asked_ram"}``, or nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str = "permanentFail",
        stderr: str = "",
        exit_code: int | None = None,
        command: list[str] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.stderr = stderr
        self.exit_code = exit_code
        self.command = command
        self.used: Mapping[str, object] = {}

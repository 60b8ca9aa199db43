"""What the command says when it can't do its work. ``code`` is its exit code.

CliError
├── UsageError          what was asked for makes no sense (2)
├── ServerError         the server refuses or can't be reached (1)
├── RunFailed           the run ended badly (1)
└── UnsupportedWorkflow valid CWL that can't be run (33, as every CWL runner says it)
"""

from __future__ import annotations


class CliError(Exception):
    """Base of the command's errors; ``str()`` is printed."""

    code = 1


class UsageError(CliError):
    """What was asked for makes no sense."""

    code = 2


class ServerError(CliError):
    """The server refuses or can't be reached; ``status`` is the HTTP status, if it answered."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RunFailed(CliError):
    """The run ended badly."""


class UnsupportedWorkflow(CliError):
    """The workflow needs what the server does not support."""

    code = 33

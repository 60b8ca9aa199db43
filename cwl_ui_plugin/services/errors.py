"""What the services refuse, each with the HTTP status that interfaces answer with; ``message`` is written for users.

ServiceError
├── BadRequest        400  an invalid value
├── NotVerified       403  a signature is missing or wrong
├── NotAllowed        403  somebody may not do this
├── NotFound          404  no such workflow, run, file or upload
├── Conflict          409  it exists already
├── TooLarge          413  more bytes than allowed
├── InvalidWorkflow   422  the document can't be used
├── InvalidJob        422  the job does not fit the workflow's inputs
├── Unavailable       503  not now
├── StopIncomplete    504  processes of a run outlived the time they had
└── NoRoom            507  a disk of the server is full
"""

from __future__ import annotations

from cwl_ui_plugin.cwl.errors import Problem

Problems = tuple[Problem, ...]


class ServiceError(Exception):
    """Base of this layer's errors; ``str()`` is a message for users."""

    status = 500

    def __init__(self, message: str, problems: Problems = ()) -> None:
        super().__init__(message)
        self.message = message
        self.problems = problems


class BadRequest(ServiceError):
    """An invalid value; ``field`` names it where there were several."""

    status = 400

    def __init__(self, message: str, problems: Problems = (), *, field: str | None = None) -> None:
        super().__init__(message, problems)
        self.field = field


class NotVerified(ServiceError):
    """A signature is missing or wrong."""

    status = 403


class NotAllowed(ServiceError):
    """Somebody may not do this."""

    status = 403


class NotFound(ServiceError):
    """No such workflow, run, file or upload."""

    status = 404


class Conflict(ServiceError):
    """It exists already, or something else has its name."""

    status = 409


class TooLarge(ServiceError):
    """More bytes than allowed."""

    status = 413


class InvalidWorkflow(ServiceError):
    """The document can't be used; ``unsupported`` if it is right but needs what cwltool does not have.

    ``choices`` are what may be named as the main document, where several processes could be meant.
    """

    status = 422

    def __init__(
        self, message: str, problems: Problems = (), *, unsupported: bool = False, choices: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, problems)
        self.unsupported = unsupported
        self.choices = choices


class InvalidJob(ServiceError):
    """The job does not fit the workflow's inputs; one problem for each input."""

    status = 422


class Unavailable(ServiceError):
    """Not now; trying again later may work."""

    status = 503


class StopIncomplete(ServiceError):
    """Processes of a run outlived the time they had; ``left`` names each: host, pid, command."""

    status = 504

    def __init__(self, message: str, left: tuple[str, ...]) -> None:
        super().__init__(message, tuple(Problem(line) for line in left))
        self.left = left


class NoRoom(ServiceError):
    """A disk of the server is full; nothing was kept."""

    status = 507
